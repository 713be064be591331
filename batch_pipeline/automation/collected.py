"""What `collected_issues` asks for: the plan of what was collected, and once more what failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

import dagster as dg
from pydantic import BaseModel, Field, ValidationError

from batch_pipeline.assets import keys
from batch_pipeline.assets.cells import AGAIN, ATTEMPT, FAILED
from batch_pipeline.automation.jobs import BATCHES_SECONDS, MAX_RUNTIME
from batch_pipeline.automation.monitor import Partitions
from batch_pipeline.automation.partitions import Range, ranges_over, row_of, rows_cells
from batch_pipeline.automation.run_requests import over_cells
from batch_pipeline.errors import InvalidSelection
from batch_pipeline.sources.repo_name import check_repo_name

MOST_EVENTS = 1_000
"""Events that one tick looks at of each asset."""
FEW = 5
"""Cells that failed and get a run each."""
MOST_ATTEMPTS = 3
"""How often a cell is asked for by itself, the first time included."""


class CollectedCursor(BaseModel):
    """What one tick leaves to the next: small, and begun anew where it is lost."""

    seen: dict[str, int] = Field(default_factory=dict[str, int])
    """How far the events of each asset were read."""
    waiting: dict[str, dict[str, int]] = Field(default_factory=dict[str, dict[str, int]])
    """By task, the cells of `issues` that are to be planned, and how often that was asked for."""
    warehouse: int = 0
    """When the warehouse was last written to."""

    @classmethod
    def read(cls, text: str | None) -> CollectedCursor:
        """The cursor; a new one where there is none, or one that can't be read."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()


@dataclass(frozen=True)
class Failed:
    """A cell that did not work, how often it was asked for, and the event that tells of it."""

    cell: str
    attempt: int
    event: int


@dataclass(frozen=True)
class Fresh:
    """What is new of an asset.

    `made`: cells that were materialized; `failed`: those to be asked for again; `reported`: all that told why they
    did not work; `since`: when the first was materialized; `last`: the last event.
    """

    made: Sequence[str] = ()
    failed: Sequence[Failed] = ()
    reported: Sequence[str] = ()
    since: float | None = None
    last: int = 0


@dataclass(frozen=True)
class Planned:
    """The assets of a task that plan and submit what `issues` collects."""

    task: str
    partitions_def: Partitions | None
    checks: tuple[dg.AssetCheckKey, ...]

    @property
    def assets(self) -> list[dg.AssetKey]:
        """Both of them."""
        return [keys.requests_key(self.task), keys.submission_key(self.task)]

    def cell_of(self, cell: str) -> str:
        """The task's cell that a cell of `issues` is records for."""
        if self.partitions_def is None:
            return ""
        return cell if isinstance(self.partitions_def, dg.MultiPartitionsDefinition) else row_of_issues(cell)


def planned_from_issues(assets: Iterable[dg.AssetsDefinition]) -> list[Planned]:
    """The tasks among these assets whose records come from `issues`, and that are asked by themselves."""
    return [
        Planned(key.path[0], asset.partitions_def, tuple(sorted(asset.check_keys)))
        for asset in assets
        for key in asset.keys
        if key == keys.requests_key(key.path[0]) and keys.ISSUES in asset.asset_deps[key]
        if asset.specs_by_key[key].tags.get(keys.NIGHTLY) != "no"
    ]


def fresh(instance: dg.DagsterInstance, asset: dg.AssetKey, after: int) -> Fresh:
    """What the events of an asset tell that came after the one of that number."""
    wanted = dg.AssetRecordsFilter(asset_key=asset, after_storage_id=after)
    made = instance.fetch_materializations(wanted, limit=MOST_EVENTS, ascending=True).records
    seen = instance.fetch_observations(wanted, limit=MOST_EVENTS, ascending=True).records
    last = {record.partition_key or "": record.storage_id for record in made}
    failed = {
        each.cell: each
        for record in seen
        if (each := _failed(record.storage_id, record.asset_observation)) is not None
        and each.event > last.get(each.cell, 0)
    }
    both = [*made, *seen]
    return Fresh(
        made=list(last),
        failed=list(failed.values()),
        reported=[record.partition_key or "" for record in seen],
        since=min((record.timestamp for record in made), default=None),
        last=max((record.storage_id for record in both), default=after),
    )


def _failed(event: int, observation: dg.AssetObservation | None) -> Failed | None:
    """None for what is no failure, or one that a person must correct, or that was asked for often enough."""
    if observation is None or FAILED not in observation.metadata:
        return None
    told = observation.metadata
    attempt = int(str(told[ATTEMPT].value))
    return (
        Failed(observation.partition or "", attempt, event) if told[AGAIN].value and attempt < MOST_ATTEMPTS else None
    )


def note_collected(cursor: CollectedCursor, tasks: Iterable[Planned], issues: Fresh) -> None:
    """What was collected waits to be planned, for each task."""
    for task in tasks:
        cursor.waiting.setdefault(task.task, {}).update(dict.fromkeys(issues.made, 0))


def note_planned(cursor: CollectedCursor, task: Planned, plans: Fresh) -> None:
    """What was planned waits no longer, and neither does what could not be: that goes again by itself, or never."""
    done = {*plans.made, *plans.reported}
    waiting = cursor.waiting.get(task.task, {})
    cursor.waiting[task.task] = {cell: times for cell, times in waiting.items() if task.cell_of(cell) not in done}


def plan_runs(
    cursor: CollectedCursor, tasks: Iterable[Planned], busy: Set[dg.AssetKey], store: dg.DagsterInstance
) -> Iterator[dg.RunRequest]:
    """Runs that plan and submit what waits for it: one over a night's cells, for all tasks of the same partitions.

    What was asked for, is not planned, and has no run at work on it goes again: its run has died.
    """
    groups: dict[Partitions | None, list[Planned]] = {}
    for task in tasks:
        groups.setdefault(task.partitions_def, []).append(task)
    for partitions_def, group in groups.items():
        waiting = {cell: times for task in group for cell, times in cursor.waiting.get(task.task, {}).items()}
        at_work = any(asset in busy for task in group for asset in task.assets)
        wanted = [cell for cell, times in waiting.items() if times == 0 or (times < MOST_ATTEMPTS and not at_work)]
        given_up = {cell for cell, times in waiting.items() if times >= MOST_ATTEMPTS and not at_work}
        for task in group:
            kept = cursor.waiting.get(task.task, {}).keys() - given_up
            cursor.waiting[task.task] = {cell: waiting[cell] + (cell in wanted) for cell in sorted(kept)}
        assets = [asset for task in group for asset in task.assets]
        checks = [check for task in group for check in task.checks]
        for cells in _cells(partitions_def, wanted, store) if wanted else ():
            yield over_cells(cells, assets, run_key=None, checks=checks, tags={MAX_RUNTIME: str(BATCHES_SECONDS)})


def _cells(partitions_def: Partitions | None, made: Sequence[str], store: dg.DagsterInstance) -> Iterator[Range | None]:
    """The cells of a task that these cells of `issues` are records for."""
    if partitions_def is None:
        yield None
    elif isinstance(partitions_def, dg.MultiPartitionsDefinition):
        for row in sorted({row_of(partitions_def, cell) for cell in made}):
            yield from ranges_over(made, rows_cells(partitions_def, row, store), gap=0)
    else:
        for night in sorted({row_of_issues(cell) for cell in made}):
            yield Range(night, night)


@dataclass(frozen=True)
class Again:
    """What is run for a cell that failed: these assets, for so many seconds at most."""

    assets: Sequence[dg.AssetKey]
    partitions_def: Partitions | None
    checks: Sequence[dg.AssetCheckKey]
    seconds: int


def runs_again(again: Again, new: Fresh, store: dg.DagsterInstance) -> Iterator[dg.RunRequest]:
    """A run for each cell that failed, which colours only itself; where many did, few and wide runs over them.

    Many at once have one cause, such as a server that is not there: a run each would only burden the machine.
    """
    by_attempt: dict[int, list[str]] = {}
    for each in new.failed:
        by_attempt.setdefault(each.attempt + 1, []).append(each.cell)
    for attempt, cells in by_attempt.items():
        tags = {ATTEMPT: str(attempt), MAX_RUNTIME: str(again.seconds)}
        for span in _spans(again.partitions_def, cells, store):
            start = span.start if span else "all"
            key = f"{again.assets[0].to_user_string()}:{start}:again:{new.last}"
            yield over_cells(span, again.assets, run_key=key, checks=again.checks, tags=tags)


def _spans(
    partitions_def: Partitions | None, cells: Sequence[str], store: dg.DagsterInstance
) -> Iterator[Range | None]:
    if partitions_def is None:
        yield None
    elif len(cells) <= FEW:
        yield from (Range(cell, cell) for cell in cells)
    else:
        for row in sorted({row_of(partitions_def, cell) for cell in cells}):
            yield from ranges_over(cells, rows_cells(partitions_def, row, store))


def new_repos(known: Sequence[str], wanted: Iterable[str]) -> tuple[list[str], list[str]]:
    """Those of the names that are no partitions yet, in order, and why others can't be ones."""
    fresh_names, refused = dict[str, None](), list[str]()
    for name in wanted:
        try:
            fresh_names[check_repo_name(name)] = None
        except InvalidSelection as error:
            refused.append(str(error))
    return [name for name in fresh_names if name not in known], refused


def row_of_issues(cell: str) -> str:
    """The night of a cell of `issues`."""
    return cell.split("|", maxsplit=1)[0]
