"""What the monitor asks for, worked out of what is due: no tick and no daemon is needed to look at it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

import dagster as dg
from pydantic import BaseModel, Field, ValidationError

from batch_pipeline.assets import keys
from batch_pipeline.automation.jobs import BATCHES_SECONDS, MAX_RUNTIME
from batch_pipeline.automation.partitions import Range, ranges_over, row_of, rows_cells
from batch_pipeline.automation.run_requests import jobs_config, over_cells
from batch_pipeline.ledger.jobs import Job

LONGEST_WAIT = 3600.0
"""Seconds until a job that did not come on is asked for again, at most."""

What = Literal["submission", "results"]
Partitions = dg.PartitionsDefinition[str]


class AskedFor(BaseModel):
    """How often a job was asked for since it last came on, when, and how far it had come by then."""

    times: int
    at: float
    so_far: int


class MonitorCursor(BaseModel):
    """What one tick leaves to the next: small, and begun anew where it is lost."""

    asked: dict[str, AskedFor] = Field(default_factory=dict[str, AskedFor])
    late: dict[str, int] = Field(default_factory=dict[str, int])
    """By task, how many batches were past their window."""
    reported: float = 0.0
    """When the last job had ended that the reports know of."""
    first: str = ""
    """The provider to begin with: the one that the tick before had no time for."""

    @classmethod
    def read(cls, text: str | None) -> MonitorCursor:
        """The cursor; a new one where there is none, or one that can't be read."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()


@dataclass(frozen=True)
class Watched:
    """The assets of one task, as a code location has them."""

    task: str
    partitions_def: Partitions | None
    checks: Mapping[What, tuple[dg.AssetCheckKey, ...]]


@dataclass(frozen=True)
class Wanted:
    """A run to ask for: over which cells, and for which jobs of each task."""

    what: What
    cells: Range | None
    jobs: Mapping[str, Sequence[str]]

    @property
    def job_ids(self) -> list[str]:
        """All of them."""
        return sorted(job_id for job_ids in self.jobs.values() for job_id in job_ids)


def watched_in(assets: Iterable[dg.AssetsDefinition]) -> dict[str, Watched]:
    """The tasks that have their results among these assets, by name."""
    definitions = {key: asset for asset in assets for key in asset.keys}
    return {
        key.path[0]: Watched(
            key.path[0],
            asset.partitions_def,
            {
                "results": tuple(sorted(asset.check_keys)),
                "submission": tuple(sorted(definitions[keys.submission_key(key.path[0])].check_keys)),
            },
        )
        for key, asset in definitions.items()
        if len(key.path) == 2 and key == keys.results_key(key.path[0])
    }


def ready(due: Iterable[Job], cursor: MonitorCursor, busy: Set[str], poll_seconds: float, now: float) -> list[Job]:
    """Those of the jobs that may be asked for now.

    None that a run is at work on; and one that did not come on, though it was asked for, waits twice as long each
    time.

    Args:
        due: The jobs.
        cursor: What was asked for before.
        busy: Jobs that runs were started for, and runs that have not ended.
        poll_seconds: How long to wait the first time.
        now: The time.
    """
    return [job for job in due if not _at_work(job, busy) and now >= _not_before(job, cursor, poll_seconds)]


def wanted_runs(
    what: What,
    jobs: Sequence[Job],
    watched: Mapping[str, Watched],
    cursor: MonitorCursor,
    store: dg.DagsterInstance,
) -> Iterator[Wanted]:
    """Few and wide runs for these jobs, each over cells of one night; one a cell for what was asked for before.

    In a wide run, a cell that fails must colour no other, so it fails in silence; alone it may be red.
    """
    for (partitions_def, row), group in _rows(jobs, watched).items():
        if partitions_def is None:
            yield Wanted(what, None, _by_task(group))
            continue
        in_order = rows_cells(partitions_def, row, store)
        again = [job for job in group if job.job_id in cursor.asked]
        for job in again:
            if job.partition_key in in_order:
                yield Wanted(what, Range(job.partition_key, job.partition_key), _by_task([job]))
        place = {key: index for index, key in enumerate(in_order)}
        first = [job for job in group if job.job_id not in cursor.asked and job.partition_key in place]
        for cells in ranges_over([job.partition_key or "" for job in first], in_order):
            within = range(place[cells.start], place[cells.end] + 1)
            yield Wanted(what, cells, _by_task([job for job in first if place[job.partition_key or ""] in within]))


def without_cell(jobs: Iterable[Job], watched: Mapping[str, Watched], store: dg.DagsterInstance) -> list[Job]:
    """Jobs whose partition is gone: what they bought is collected all the same."""
    return [
        job
        for (partitions_def, row), group in _rows(jobs, watched).items()
        if partitions_def is not None
        for cells in [set(rows_cells(partitions_def, row, store))]
        for job in group
        if job.partition_key not in cells
    ]


def run_request(wanted: Wanted, watched: Mapping[str, Watched], count: int) -> dg.RunRequest:
    """The request for a run. Its key holds a count, for a key is used up for ever, even when its run fails."""
    asset, step = _NAMES[wanted.what]
    return over_cells(
        wanted.cells,
        [asset(task) for task in wanted.jobs],
        run_key=f"{wanted.what}:{hashlib.sha256(' '.join(wanted.job_ids).encode()).hexdigest()[:12]}:{count}",
        checks=[check for task in wanted.jobs for check in watched[task].checks[wanted.what]],
        config=jobs_config({step(task): job_ids for task, job_ids in wanted.jobs.items()}),
        tags={MAX_RUNTIME: str(BATCHES_SECONDS)},
    )


def forget_what_came_on(cursor: MonitorCursor, so_far: Mapping[str, int]) -> None:
    """Forgets what is not due any more, or is due for something else than when it was asked for.

    Args:
        cursor: What was asked for.
        so_far: How far each job that is due has come.
    """
    cursor.asked = {job_id: asked for job_id, asked in cursor.asked.items() if so_far.get(job_id) == asked.so_far}


def note(cursor: MonitorCursor, asked: Iterable[str], so_far: Mapping[str, int], now: float) -> None:
    """Keeps what was asked for now."""
    for job_id in asked:
        times = cursor.asked[job_id].times if job_id in cursor.asked else 0
        cursor.asked[job_id] = AskedFor(times=times + 1, at=now, so_far=so_far[job_id])


_NAMES = {
    "submission": (keys.submission_key, keys.submit_step),
    "results": (keys.results_key, keys.results_step),
}


def _at_work(job: Job, busy: Set[str]) -> bool:
    return job.job_id in busy or job.metadata.get("run_id") in busy


def _not_before(job: Job, cursor: MonitorCursor, poll_seconds: float) -> float:
    asked = cursor.asked.get(job.job_id)
    return 0.0 if asked is None else asked.at + min(poll_seconds * 2.0**asked.times, LONGEST_WAIT)


def _rows(jobs: Iterable[Job], watched: Mapping[str, Watched]) -> dict[tuple[Partitions | None, str], list[Job]]:
    """Jobs by the row of the grid that they are in: tasks of the same partitions share their runs."""
    rows: dict[tuple[Partitions | None, str], list[Job]] = {}
    for job in jobs:
        partitions_def = watched[job.task].partitions_def
        row = row_of(partitions_def, job.partition_key or "") if partitions_def is not None else ""
        rows.setdefault((partitions_def, row), []).append(job)
    return rows


def _by_task(jobs: Iterable[Job]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for job in jobs:
        found.setdefault(job.task, []).append(job.job_id)
    return found
