"""Operations: how long batches take, what became of the requests, and what waits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median, quantiles
from zoneinfo import ZoneInfo

from sqlalchemy import select

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import BatchStatus, JobStatus, statuses
from batch_pipeline.ledger import tables

AT_WORK = ("submitted", "sending")


@dataclass(frozen=True)
class Run:
    """One batch on its way. Times are unix seconds; `ended_at` is None while the provider has it."""

    batch_id: str
    task: str
    provider: str
    model: str
    requests: int
    submitted_at: float
    ended_at: float | None
    collected_at: float | None
    remote_status: str | None

    @property
    def seconds(self) -> float | None:
        """From sending to the provider's end."""
        return None if self.ended_at is None else max(0.0, self.ended_at - self.submitted_at)

    @property
    def to_collect(self) -> float | None:
        """From the provider's end to the answers."""
        done = self.ended_at is not None and self.collected_at is not None
        return max(0.0, (self.collected_at or 0.0) - (self.ended_at or 0.0)) if done else None


@dataclass(frozen=True)
class Ended:
    """Requests that ended one way; `code` is the provider's, or the outcome where there is none."""

    outcome: str
    code: str
    requests: int


@dataclass(frozen=True)
class Waiting:
    """What is on its way of one job. `oldest_seconds` is the age of its oldest batch at the provider."""

    job_id: str
    task: str
    state: str
    batches: int
    completed: int
    total: int
    oldest_seconds: float | None
    waits_for: str | None


@dataclass(frozen=True)
class DayOfRuns:
    """The batches that were sent on one day to one model, and the times that they took, in seconds."""

    day: date
    model: str
    batches: int
    requests: int
    median_seconds: float
    p95_seconds: float
    collect_seconds: float


@dataclass(frozen=True)
class Operations:
    """All of it; `at` is when it was looked at (unix seconds), days are those of `zone`."""

    at: float
    zone: ZoneInfo
    runs: Sequence[Run]
    ended: Sequence[Ended]
    queue: Sequence[Waiting]

    @property
    def seconds(self) -> list[float]:
        """How long each batch took at its provider."""
        return [run.seconds for run in self.runs if run.seconds is not None]

    @property
    def in_flight(self) -> list[Run]:
        """Those that the provider has now."""
        return [run for run in self.runs if run.ended_at is None]

    @property
    def oldest_seconds(self) -> float:
        """The age of the oldest of them; 0 where there is none."""
        return max((self.at - run.submitted_at for run in self.in_flight), default=0.0)

    @property
    def days(self) -> list[DayOfRuns]:
        """The newest day first."""
        kinds: dict[tuple[date, str], list[Run]] = {}
        for run in self.runs:
            if run.seconds is not None:
                day = datetime.fromtimestamp(run.submitted_at, self.zone).date()
                kinds.setdefault((day, run.model), []).append(run)
        return [_day(day, model, found) for (day, model), found in sorted(kinds.items(), reverse=True)]


def operations(pipeline: Pipeline) -> Operations:
    """How batches fared so far, and what waits now; asks no provider.

    Raises:
        WarehouseBusy: Another process holds the warehouse for longer than we wait.
    """
    at, standing = time.time(), statuses(pipeline)
    with pipeline.warehouse.read() as connection:
        ended = [Ended(*row) for row in connection.execute(_ENDED).fetchall()]
    runs = _runs(pipeline)
    sent = {run.batch_id: run.submitted_at for run in runs}
    queue = [_waiting(job, sent, at) for job in standing if not job.final or job.state == "held"]
    return Operations(at, ZoneInfo(pipeline.settings.timezone), runs, ended, queue)


def share_of(seconds: Sequence[float], percent: int) -> float:
    """The time within which so many of a hundred batches end; 0 where there are none."""
    if len(seconds) < 2:
        return seconds[0] if seconds else 0.0
    return quantiles(seconds, n=100, method="inclusive")[percent - 1]


def _day(day: date, model: str, runs: Sequence[Run]) -> DayOfRuns:
    seconds = [run.seconds for run in runs if run.seconds is not None]
    collected = [run.to_collect for run in runs if run.to_collect is not None]
    return DayOfRuns(
        day=day,
        model=model,
        batches=len(runs),
        requests=sum(run.requests for run in runs),
        median_seconds=median(seconds),
        p95_seconds=share_of(seconds, 95),
        collect_seconds=median(collected) if collected else 0.0,
    )


def _runs(pipeline: Pipeline) -> list[Run]:
    batches, jobs = tables.batches.c, tables.jobs.c
    wanted = (
        select(
            batches.batch_id,
            jobs.task,
            jobs.provider,
            jobs.model,
            batches.requests,
            batches.submitted_at,
            batches.ended_at,
            batches.collected_at,
            batches.remote_status,
        )
        .join_from(tables.batches, tables.jobs, batches.job_id == jobs.job_id)
        .where(batches.submitted_at.is_not(None))
        .order_by(batches.submitted_at)
    )
    with pipeline.ledger.read() as db:
        return [Run(**row) for row in db.execute(wanted).mappings()]


def _waiting(job: JobStatus, sent: dict[str, float], at: float) -> Waiting:
    open_ = [batch for batch in job.batches if batch.state != "collected"]
    ages = [at - sent[batch.batch_id] for batch in _at_work(open_) if batch.batch_id in sent]
    return Waiting(
        job_id=job.job_id,
        task=job.task,
        state=job.state,
        batches=len(open_),
        completed=sum(batch.completed for batch in job.batches),
        total=sum(batch.total for batch in job.batches),
        oldest_seconds=max(ages, default=None),
        waits_for=job.waits_for,
    )


def _at_work(found: Iterable[BatchStatus]) -> list[BatchStatus]:
    return [batch for batch in found if batch.state in AT_WORK]


_ENDED = """
    SELECT outcome, coalesce(error_code, outcome), count(*)
    FROM batch_results
    WHERE NOT ends_with(batch_id, '-shared')
    GROUP BY ALL
    ORDER BY count(*) DESC, 1, 2
"""
