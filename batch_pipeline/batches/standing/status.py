"""Where a job stands. All of it is derived from the ledger; no state is stored."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger import batches, fingerprints, jobs, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.ledger.sends import Send
from batch_pipeline.settings import Mode, ProviderName
from batch_pipeline.tasks.snapshot import TaskSnapshot

if TYPE_CHECKING:
    from sqlalchemy import Connection

BatchState = Literal["planned", "sending", "held", "submitted", "ended", "collected"]
JobState = Literal["planning", "planned", "in_flight", "held", "ended", "done", "cancelled", "failed"]
FINAL: frozenset[str] = frozenset({"done", "cancelled", "failed"})


@dataclass(frozen=True)
class BatchStatus:
    """One batch: `completed` of `total` requests, as the provider last said."""

    batch_id: str
    remote_id: str | None
    state: BatchState
    remote_status: str | None
    completed: int
    total: int
    waits_for: str | None = None
    wait_kind: str | None = None


@dataclass(frozen=True)
class JobStatus:
    """A job with its attempts. `outcomes` are records by their latest outcome; they add up to `records`."""

    job_id: str
    task: str
    provider: ProviderName
    model: str
    partition_key: str | None
    state: JobState
    waits_for: str | None
    records: int
    requests: int
    outcomes: Mapping[str, int]
    attempts: int
    batches: Sequence[BatchStatus]
    input_tokens: int
    estimated_cost_usd: float
    cost_usd: float
    created_at: float
    skipped: int
    reused: int
    mode: Mode
    canary: str | None
    job_type: str
    metadata: Mapping[str, str]
    error_message: str | None
    """Why it could not be planned, where its order was kept before that was known."""

    @property
    def answered(self) -> int:
        """Records with an answer."""
        return self.outcomes.get("answered", 0)

    @property
    def final(self) -> bool:
        """Nothing more will happen by itself."""
        return self.state in FINAL or self.state == "held"

    @property
    def stopped(self) -> bool:
        """Its canary was bad, and a person decides."""
        return any(batch.state == "planned" and batch.wait_kind == "stopped" for batch in self.batches)


def status(pipeline: Pipeline, job_id: str) -> JobStatus:
    """Where a job stands, with its attempts; an attempt's id serves as well.

    Raises:
        UnknownJob: There is no job of that id.
    """
    with pipeline.ledger.read() as db:
        return _statuses(db, [jobs.get(db, job_id).root_job_id])[0]


def statuses(pipeline: Pipeline, limit: int | None = None) -> list[JobStatus]:
    """All jobs, the newest first; a handful of queries, however many there are."""
    with pipeline.ledger.read() as db:
        return _statuses(db, [job.job_id for job in jobs.newest(db, limit)])


def statuses_of(pipeline: Pipeline, root_job_ids: Sequence[str]) -> list[JobStatus]:
    """These jobs, in this order."""
    with pipeline.ledger.read() as db:
        return _statuses(db, root_job_ids)


def batch_state(batch: Batch, send: Send | None) -> BatchState:
    """A batch's state: what its columns and those of its open send say."""
    if batch.collected_at is not None:
        return "collected"
    if batch.ended_at is not None:
        return "ended"
    if send is None:
        return "planned"
    if send.remote_id is not None:
        return "submitted"
    return "held" if send.held is not None else "sending"


def _statuses(db: Connection, root_job_ids: Sequence[str]) -> list[JobStatus]:
    chains = jobs.chains(db, root_job_ids)
    every = [job.job_id for chain in chains.values() for job in chain]
    rows, tried = batches.by_job(db, every), sends.by_batch(db, every)
    places = {batch_id: place for place, batch_id in enumerate(batches.held_back(db), 1)}
    found: list[JobStatus] = []
    for root_job_id in root_job_ids:
        chain = chains[root_job_id]
        last = chain[-1]
        awaited = bool(last.waiting) and last.shared_at is None and fingerprints.still_waiting(db, last.job_id)
        of_chain = [row for job in chain for row in rows.get(job.job_id, [])]
        shown = {row.batch_id: _batch_status(row, tried.get(row.batch_id, []), places) for row in of_chain}
        found.append(_status(chain, of_chain, shown, awaited=awaited))
    return found


def _status(
    chain: Sequence[Job], rows: Sequence[Batch], shown: Mapping[str, BatchStatus], *, awaited: bool
) -> JobStatus:
    root, last = chain[0], chain[-1]
    of_last = [shown[row.batch_id] for row in rows if row.job_id == last.job_id]
    outcomes = outcomes_of(chain, rows)
    return JobStatus(
        job_id=root.job_id,
        task=root.task,
        provider=root.provider,
        model=root.model,
        partition_key=root.partition_key,
        state=_state(root, last, of_last, outcomes, awaited=awaited),
        waits_for=next((batch.waits_for for batch in of_last if batch.waits_for), None),
        records=root.records,
        requests=sum(job.requests for job in chain),
        outcomes=outcomes,
        attempts=last.attempt,
        batches=list(shown.values()),
        input_tokens=sum(job.input_tokens for job in chain),
        estimated_cost_usd=sum(job.estimate_usd for job in chain),
        cost_usd=sum(row.cost_usd or 0.0 for row in rows),
        created_at=root.created_at,
        skipped=root.skipped,
        reused=root.reused,
        mode=TaskSnapshot.model_validate_json(root.snapshot).mode,
        canary=root.canary,
        job_type=root.job_type,
        metadata=root.meta,
        error_message=root.error_message,
    )


def _batch_status(row: Batch, tried: Sequence[Send], places: Mapping[str, int]) -> BatchStatus:
    state = batch_state(row, next((send for send in tried if send.end is None), None))
    created = [send.remote_id for send in tried if send.remote_id is not None and send.counts]
    waits = _waits_for(row, places) if state in ("planned", "sending") else None
    done = row.completed + row.failed
    remote_id = created[-1] if created else None
    return BatchStatus(row.batch_id, remote_id, state, row.remote_status, done, row.requests, waits, row.wait_kind)


def _waits_for(row: Batch, places: Mapping[str, int]) -> str | None:
    if row.wait_reason is None:
        return None
    if (place := places.get(row.batch_id)) is not None:
        return f"{row.wait_reason} (place {place} of {len(places)} in the queue)"
    if row.wait_kind in ("canary", "stopped"):
        return row.wait_reason
    seconds = (row.wait_until or 0.0) - time.time()
    return f"{row.wait_reason} (goes again in {seconds:.0f} s)" if seconds > 0 else row.wait_reason


def _state(
    root: Job, last: Job, rows: Sequence[BatchStatus], outcomes: Mapping[str, int], *, awaited: bool
) -> JobState:
    if last.planned_at is None:
        return "planning"
    states = {row.state for row in rows}
    if last.closed_at is not None and states <= {"collected"}:
        return _final_state(root, outcomes)
    if "held" in states:
        return "held"
    if states & {"submitted", "sending"}:
        return "in_flight"
    if "planned" in states:
        return "planned"
    return "in_flight" if awaited else "ended"


def _final_state(root: Job, outcomes: Mapping[str, int]) -> JobState:
    if root.cancel_asked_at is not None:
        return "cancelled"
    return "done" if outcomes.get("answered") or not (root.records or root.error_message) else "failed"


def outcomes_of(chain: Iterable[Job], rows: Iterable[Batch]) -> dict[str, int]:
    """Records by their latest outcome: those that an attempt took over are no longer counted as they were before."""
    counted: Counter[str] = Counter()
    for row in rows:
        counted.update(row.outcomes if row.collected_at is not None else {"pending": row.records})
    for job in chain:
        counted.update(job.shared_outcomes if job.shared_at is not None else {"pending": job.shared})
        counted.subtract(job.taken)
    return {outcome: count for outcome, count in sorted(counted.items()) if count}
