"""The cells of the grid that a run is about, and what each of them selects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import dagster as dg

from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.errors import InvalidTask

Select = Callable[[str], Selection]
"""Which records a partition's key means."""

ATTEMPT = "batch_pipeline/attempt"
"""The run's tag that says how often this cell was asked for, from 1."""
FAILED, AGAIN = "failed", "goes again"
"""Metadata of an observation that tells why a cell is not materialized, and whether it is asked for by itself."""


@dataclass(frozen=True)
class Cell:
    """One partition of an asset; `key` is None where the asset has none."""

    key: str | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)

    @property
    def tags(self) -> dict[str, str]:
        """What Dagster finds a materialization's cell by; it adds them itself to none that we yield."""
        return {f"dagster/partition/{name}": value for name, value in self.dimensions.items()}

    def __str__(self) -> str:
        return self.key or "all"


@dataclass(frozen=True)
class Cells:
    """The cells of one run. `wide`: of several, where one that fails must not colour the others."""

    cells: Sequence[Cell]
    wide: bool

    @classmethod
    def of(cls, context: dg.AssetExecutionContext) -> Cells:
        """Those that the run was asked for, in the order of their partitions."""
        if not context.has_partition_key and not context.has_partition_key_range:
            return cls([Cell()], wide=False)
        keys = list(context.partition_keys)
        return cls([_cell(key) for key in keys], wide=len(keys) > 1)


def attempt_of(context: dg.AssetExecutionContext) -> int:
    """How often this run's cells were asked for, this time included."""
    told = context.run.tags.get(ATTEMPT, "1")
    return int(told) if told.isdecimal() else 1


def root_run_id(context: dg.AssetExecutionContext) -> str:
    """The run that this one repeats, or this one: a run that is repeated finds its jobs by it."""
    return context.run.root_run_id or context.run.run_id


def selects(task: str, partitions_def: dg.PartitionsDefinition[str] | None) -> Select:
    """How keys of these partitions narrow the records: a dimension by its name, days as nights.

    Raises:
        InvalidTask: It can't be told from the partitions.
    """
    if partitions_def is None:
        return lambda _: Selection()
    if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition):
        return lambda key: Selection(night=_night(key))
    known = {"night", "repo", "org", "state"}
    if (
        isinstance(partitions_def, dg.MultiPartitionsDefinition)
        and set(partitions_def.partition_dimension_names) <= known
    ):
        return lambda key: _selection(partitions_def.get_partition_key_from_str(key).keys_by_dimension)
    raise InvalidTask(
        f"Task `{task}`: {type(partitions_def).__name__} does not say which records a partition means. "
        "Give build_batch_assets a `select`, such as lambda key: Selection(org=key)."
    )


def _selection(narrows: Mapping[str, str]) -> Selection:
    given = dict(narrows)
    night = given.pop("night", None)
    return Selection(night=_night(night) if night else None, **given)  # pyright: ignore[reportArgumentType] - the dimensions are fields, all of them text


def _night(key: str) -> date:
    return datetime.fromisoformat(key).date()


def _cell(key: str) -> Cell:
    return Cell(str(key), dict(key.keys_by_dimension) if isinstance(key, dg.MultiPartitionKey) else {})
