"""History: what became of each job, told from its beginning: by the ledger, and by the warehouse's rows for one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_pipeline.batches.money.estimates import Comparison
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.due import ASSET
from batch_pipeline.batches.standing.report import comparison, price_threshold
from batch_pipeline.batches.standing.status import FINAL, BatchStatus, JobStatus, status
from batch_pipeline.ledger import batches, events, jobs, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.events import Event
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.settings import Mode
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.warehouse.figures import Errors, figures

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class Chapter:
    """A job with its attempts, in short. Times are unix seconds, money is USD.

    `started_by` is told in words; `selection` is what narrowed the records, with the query where there was one;
    `ended_at` is None while something may still happen. `skipped` were answered before, or beyond the limit.
    """

    job_id: str
    job_type: str
    task: str
    variant: str | None
    prompt_version: str
    provider: str
    model: str
    mode: Mode
    started_by: str
    started_at: float
    ended_at: float | None
    state: str
    waits_for: str | None
    partition_key: str | None
    selection: Mapping[str, object]
    selected: int
    skipped: int
    given_up: int
    records: int
    requests: int
    reused: int
    batches: int
    attempts: int
    outcomes: Mapping[str, int]
    estimated_cost_usd: float
    bound_usd: float
    cost_usd: float
    metadata: Mapping[str, object]


@dataclass(frozen=True)
class AttemptTold:
    """The job itself, or one that went on with what had no answer; `taken` are records by the outcome that they had."""

    number: int
    job_id: str
    started_at: float
    records: int
    requests: int
    taken: Mapping[str, int]


@dataclass(frozen=True)
class BatchTold:
    """One batch: how it went at the provider; `sends` are the attempts to create it, nearly always one."""

    batch_id: str
    attempt: int
    requests: int
    state: str
    remote_id: str | None
    remote_status: str | None
    sends: int
    submitted_at: float | None
    ended_at: float | None
    collected_at: float | None
    cost_usd: float | None
    outcomes: Mapping[str, int]
    waits_for: str | None
    error_message: str | None


@dataclass(frozen=True)
class Story:
    """A job, whole. `errors` are requests that had no answer, by code, over all attempts."""

    chapter: Chapter
    attempts: Sequence[AttemptTold]
    batches: Sequence[BatchTold]
    errors: Sequence[Errors]
    money: Comparison
    events: Sequence[Event]


def history(pipeline: Pipeline, limit: int, *, task: str | None = None, since: float | None = None) -> list[Chapter]:
    """The newest jobs, the newest first.

    Args:
        pipeline: The pipeline.
        limit: At most so many.
        task: Of this one only.
        since: Started no earlier (unix seconds).
    """
    with pipeline.ledger.read() as db:
        wanted = [
            job for job in jobs.newest(db) if task in (None, job.task) and (since is None or job.created_at >= since)
        ][:limit]
        chains = jobs.chains(db, [job.job_id for job in wanted])
    return [_chapter(chains[job.job_id], status(pipeline, job.job_id)) for job in wanted]


def story(pipeline: Pipeline, job_id: str) -> Story:
    """All that is known of one job and its attempts; an attempt's id serves as well.

    Raises:
        UnknownJob: There is no job of that id.
        WarehouseBusy: Another process holds the warehouse for longer than we wait.
    """
    now = status(pipeline, job_id)
    with pipeline.ledger.read() as db:
        chain = jobs.attempts(db, now.job_id)
        told = _batches(db, chain, now)
        happened = sorted((event for job in chain for event in events.of_job(db, job.job_id)), key=_by_number)
    threshold = price_threshold(pipeline, now.provider, now.model)
    with pipeline.warehouse.read() as connection:
        found = figures(connection, {now.job_id: [job.job_id for job in chain]}, threshold)[now.job_id]
    return Story(
        chapter=_chapter(chain, now),
        attempts=[_attempt(job) for job in chain],
        batches=told,
        errors=found.errors,
        money=comparison(pipeline, now, found),
        events=happened,
    )


def _chapter(chain: Sequence[Job], now: JobStatus) -> Chapter:
    root = chain[0]
    snapshot = TaskSnapshot.model_validate_json(root.snapshot)
    return Chapter(
        job_id=root.job_id,
        job_type=root.job_type,
        task=root.task,
        variant=snapshot.variant,
        prompt_version=snapshot.prompt_version,
        provider=root.provider,
        model=root.model,
        mode=snapshot.mode,
        started_by=_started_by(root),
        started_at=root.created_at,
        ended_at=max((job.closed_at or 0.0 for job in chain), default=None) if now.state in FINAL else None,
        state=now.state,
        waits_for=now.waits_for,
        partition_key=root.partition_key,
        selection=root.selection,
        selected=root.selected,
        skipped=root.skipped,
        given_up=root.given_up,
        records=now.records,
        requests=now.requests,
        reused=root.reused,
        batches=len(now.batches),
        attempts=now.attempts,
        outcomes=now.outcomes,
        estimated_cost_usd=now.estimated_cost_usd,
        bound_usd=sum(job.bound_usd for job in chain),
        cost_usd=now.cost_usd,
        metadata=root.metadata,
    )


def _started_by(job: Job) -> str:
    told = job.metadata
    run = f"run {str(told['run_id'])[:8]}" if "run_id" in told else ""
    if ASSET in told:
        return f"Dagster, asset {told[ASSET]}, {run or 'by hand'}"
    words = [str(told["user"]) if "user" in told else "", _ORIGINS.get(str(told.get("origin")), ""), run]
    return ", ".join(word for word in words if word) or "somebody"


_ORIGINS = {
    "command": "with the command",
    "dagster": "in Dagster",
    "python": "in Python",
    "rest": "over REST",
    "schedule": "by a schedule",
}


def _attempt(job: Job) -> AttemptTold:
    return AttemptTold(job.attempt, job.job_id, job.created_at, job.records, job.requests, job.taken)


def _batches(db: Connection, chain: Sequence[Job], now: JobStatus) -> list[BatchTold]:
    standing = {batch.batch_id: batch for batch in now.batches}
    tried = sends.by_batch(db, [job.job_id for job in chain])
    return [
        _batch(job, row, standing[row.batch_id], len(tried.get(row.batch_id, [])))
        for job in chain
        for row in batches.of_job(db, job.job_id)
        if row.batch_id in standing
    ]


def _batch(job: Job, row: Batch, standing: BatchStatus, sent: int) -> BatchTold:
    return BatchTold(
        batch_id=row.batch_id,
        attempt=job.attempt,
        requests=row.requests,
        state=standing.state,
        remote_id=standing.remote_id,
        remote_status=row.remote_status,
        sends=sent,
        submitted_at=row.submitted_at,
        ended_at=row.ended_at,
        collected_at=row.collected_at,
        cost_usd=row.cost_usd,
        outcomes=row.outcomes,
        waits_for=standing.waits_for,
        error_message=row.error_message,
    )


def _by_number(event: Event) -> int:
    return event.event_id
