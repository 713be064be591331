"""How records are partitioned: by the night that collected them, and the repository that they come from."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from batch_pipeline.settings import Settings

REPOS = "repos"
"""The dynamic partitions: `owner/name` of each repository, in the order in which they were added."""
REPO, NIGHT = "repo", "night"

MOST_CELLS = 200
"""Cells of one run: each that is planned and materialized costs about 22 ms of CPU."""
MOST_GAP = 10
"""Cells that a range may go over without need, before it is two runs: a run costs what a hundred cells do."""

repos = dg.DynamicPartitionsDefinition(name=REPOS)


@contextmanager
def ranges_are_beta() -> Generator[None]:
    """Keeps Dagster from saying so in every process that loads the assets; what we need of ranges is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield


def nights(settings: Settings) -> dg.DailyPartitionsDefinition:
    """One partition a night, named by the day that ended."""
    return dg.DailyPartitionsDefinition(start_date=settings.first_night.isoformat(), timezone=settings.timezone)


def repo_nights(settings: Settings) -> dg.MultiPartitionsDefinition:
    """Repository and night; a key reads `2026-11-20|owner/name`."""
    return dg.MultiPartitionsDefinition({REPO: repos, NIGHT: nights(settings)})


@dataclass(frozen=True)
class Range:
    """Cells next to each other, in the order of their partitions; both ends belong to it."""

    start: str
    end: str


def row_of(partitions_def: dg.PartitionsDefinition[str], key: str) -> str:
    """The row of the grid that a cell is in, which a wide run keeps to: its night, where it has one."""
    if isinstance(partitions_def, dg.MultiPartitionsDefinition):
        return key.split("|", maxsplit=1)[0]
    return key if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition) else ""


def rows_cells(partitions_def: dg.PartitionsDefinition[str], row: str, store: dg.DagsterInstance) -> list[str]:
    """The cells of a row, in the order of their partitions; none for a row that is not in the grid."""
    if not isinstance(partitions_def, dg.MultiPartitionsDefinition):
        return [key for key in partitions_def.get_partition_keys(dynamic_partitions_store=store) if row in ("", key)]
    first, second = partitions_def.partitions_defs
    with dg.partition_loading_context(dynamic_partitions_store=store):
        if not first.partitions_def.has_partition_key(row):
            return []
    others = second.partitions_def.get_partition_keys(dynamic_partitions_store=store)
    return [str(dg.MultiPartitionKey({first.name: row, second.name: other})) for other in others]


def ranges_over(
    wanted: Sequence[str], in_order: Sequence[str], *, gap: int = MOST_GAP, most: int = MOST_CELLS
) -> Iterator[Range]:
    """The few ranges of `in_order` that cover `wanted`; keys that `in_order` has not are left out.

    Args:
        wanted: Keys of cells.
        in_order: All keys that a range may run over, in the order of their partitions.
        gap: How many keys that are not wanted a range may run over on its way.
        most: How many keys a range has at most.
    """
    place = {key: index for index, key in enumerate(in_order)}
    start = last = None
    for index in sorted(place[key] for key in set(wanted) if key in place):
        if start is None or last is None:
            start = index
        elif index - last > gap + 1 or index - start >= most:
            yield Range(in_order[start], in_order[last])
            start = index
        last = index
    if start is not None and last is not None:
        yield Range(in_order[start], in_order[last])
