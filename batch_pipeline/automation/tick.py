"""One tick of the monitor: look at the providers, tell what changed, ask for what is due."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import dagster as dg

from batch_pipeline.assets import keys, metadata
from batch_pipeline.assets.adhoc import ADHOC_STEP, is_adhoc
from batch_pipeline.automation.monitor import (
    MonitorCursor,
    Watched,
    What,
    forget_what_came_on,
    note,
    ready,
    run_request,
    wanted_runs,
    without_cell,
)
from batch_pipeline.automation.run_requests import jobs_config, jobs_of_runs, over_cells
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import look_at_told, must_list, not_closed_providers, poll
from batch_pipeline.batches.standing.due import came_so_far, due, past_window
from batch_pipeline.batches.standing.status import status
from batch_pipeline.errors import PipelineError
from batch_pipeline.ledger import batches, jobs, meta
from batch_pipeline.ledger.jobs import Job

MOST_RUNS = 10
"""Runs that one tick asks for: a hundred took 25 s to create."""
REPORTS = (keys.BATCH_JOBS, keys.SPEND, keys.OPERATIONS, keys.EVAL_SCORES)
"""What is told anew when jobs have come to their end."""
COUNTER = "runs asked for"
"""The counter in the ledger that makes each run's key a new one."""
UNFINISHED = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


@dataclass
class Seen:
    """What a look at the providers came to; `told` is it in words."""

    changed: list[str] = field(default_factory=list[str])
    told: list[str] = field(default_factory=list[str])


def look(pipeline: Pipeline, cursor: MonitorCursor, until: float) -> Seen:
    """One listing of each provider that something is expected of.

    A listing that fails is told, and nothing is concluded from it; a provider that the time does not suffice for is
    the first one next time.
    """
    seen = Seen()
    _look_at_told(pipeline, seen)
    waiting = not_closed_providers(pipeline)
    waiting.sort(key=lambda name: (name != cursor.first, name))
    cursor.first = ""
    for name in waiting:
        if time.monotonic() > until:
            cursor.first = name
            seen.told.append(f"{name}: no time left, it comes first next time")
            break
        if not must_list(pipeline, name):
            seen.told.append(f"{name}: webhooks tell what has ended; it was listed a short time ago")
            continue
        try:
            polled = poll(pipeline, name)
        except PipelineError as error:
            seen.told.append(f"{name}: {error}")
        else:
            seen.changed += polled.changed
            seen.told.append(f"{name}: {polled.in_flight} batches in flight, {len(polled.ended)} have just ended")
    seen.told = seen.told or ["Nothing is in flight."]
    return seen


def _look_at_told(pipeline: Pipeline, seen: Seen) -> None:
    """What a webhook told of and whoever took it did not live to look at."""
    try:
        seen.changed += look_at_told(pipeline).changed
    except PipelineError as error:
        seen.told.append(f"webhooks: {error}")


def unfinished(instance: dg.DagsterInstance) -> Set[str]:
    """The ids of runs that have not ended, and of the jobs that they were started for."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=list(UNFINISHED)))
    return {run.run_id for run in runs} | jobs_of_runs(runs)


@dataclass(frozen=True)
class Asker:
    """Asks for runs: those that are due and that no run is at work on."""

    pipeline: Pipeline
    instance: dg.DagsterInstance
    watched: Mapping[str, Watched]
    assets: Set[dg.AssetKey]
    """All that the code location has: where `adhoc_jobs` and the reports are among them, they are asked for too."""
    report_checks: Sequence[dg.AssetCheckKey] = ()

    def told(self) -> list[str]:
        """What runs are at work on, in words."""
        with self.pipeline.ledger.read() as db:
            known = {job.root_job_id for job in jobs.not_closed(db)}
        at_work = len(known & unfinished(self.instance))
        return [f"{at_work} jobs are in the hands of runs"] if at_work else []

    def ask(self, cursor: MonitorCursor) -> list[dg.RunRequest]:
        """The runs of this tick; the cursor remembers them."""
        open_, busy = due(self.pipeline), unfinished(self.instance)
        so_far = came_so_far(self.pipeline, {job.job_id: job for job in (*open_.to_send, *open_.to_collect)}.values())
        forget_what_came_on(cursor, so_far)
        asked: list[str] = []
        requests: list[dg.RunRequest] = []
        count = self._count() if so_far.keys() - busy else 0
        steps: list[tuple[What, Sequence[Job]]] = [("submission", open_.to_send), ("results", open_.to_collect)]
        for what, found in steps:
            may_go = ready(found, cursor, busy, self.pipeline.settings.poll_seconds, time.time())
            for request, job_ids in self._runs(what, may_go, cursor, count):
                if len(requests) < MOST_RUNS and not set(job_ids) & set(asked):
                    requests.append(request)
                    asked += job_ids
        note(cursor, asked, so_far, time.time())
        if not requests and not busy and open_.last_closed > cursor.reported:
            requests += self._reports()
            cursor.reported = open_.last_closed
        return requests

    def _runs(
        self, what: What, may_go: Sequence[Job], cursor: MonitorCursor, count: int
    ) -> Iterator[tuple[dg.RunRequest, Sequence[str]]]:
        ours = [job for job in may_go if not is_adhoc(job) and job.task in self.watched]
        gone = without_cell(ours, self.watched, self.instance)
        for wanted in wanted_runs(what, [job for job in ours if job not in gone], self.watched, cursor, self.instance):
            yield run_request(wanted, self.watched, count), wanted.job_ids
        adhoc = [job.job_id for job in may_go if is_adhoc(job) or job in gone]
        if adhoc and keys.ADHOC_JOBS in self.assets:
            key = f"{what}:adhoc:{count}"
            yield over_cells(None, [keys.ADHOC_JOBS], run_key=key, config=jobs_config({ADHOC_STEP: adhoc})), adhoc

    def _reports(self) -> list[dg.RunRequest]:
        reports = [key for key in REPORTS if key in self.assets]
        key = f"reports:{self._count()}" if reports else None
        return [over_cells(None, reports, run_key=key, checks=self.report_checks)] if reports else []

    def _count(self) -> int:
        with self.pipeline.ledger.begin() as db:
            return meta.count_up(db, COUNTER)


def changes(
    pipeline: Pipeline, changed: Sequence[str], watched: Mapping[str, Watched]
) -> Iterator[dg.AssetObservation]:
    """An observation on `submission` for each job that is another one at the provider than it was."""
    with pipeline.ledger.read() as db:
        owners = dict.fromkeys(batches.get(db, batch_id).job_id for batch_id in changed)
        roots = dict.fromkeys(jobs.get(db, job_id).root_job_id for job_id in owners)
    for root in roots:
        now = status(pipeline, root)
        with pipeline.ledger.read() as db:
            adhoc = is_adhoc(jobs.get(db, root))
        if adhoc or now.task not in watched:
            continue
        told = ", ".join(sorted({batch.remote_status or batch.state for batch in now.batches}))
        yield dg.AssetObservation(
            keys.submission_key(now.task),
            description=f"At the provider: {told}",
            partition=now.partition_key,
            metadata=metadata.of_change(now),
        )


def late(
    pipeline: Pipeline, watched: Mapping[str, Watched], cursor: MonitorCursor
) -> Iterator[dg.AssetCheckEvaluation]:
    """The check of windows, for each task of which more or fewer batches are late than before."""
    found = past_window(pipeline)
    for task in watched:
        which = found.get(task, [])
        if len(which) != cursor.late.get(task, 0):
            yield dg.AssetCheckEvaluation(
                asset_key=keys.submission_key(task),
                check_name=keys.WITHIN_WINDOW,
                passed=not which,
                severity=dg.AssetCheckSeverity.WARN,
                metadata=metadata.of_late(which),
            )
    cursor.late = {task: len(which) for task, which in found.items()}
