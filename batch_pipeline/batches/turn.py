"""A turn: everything that can be done now for a job, or for all, in the order of its life."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from batch_pipeline.batches.collect import collect
from batch_pipeline.batches.kept_orders import plan_kept
from batch_pipeline.batches.notices import send_due_notices
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan, snapshot_of
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.retry import retry
from batch_pipeline.batches.standing.status import JobStatus, status
from batch_pipeline.batches.submit import Submitted, submit
from batch_pipeline.errors import FilesUnreachable, PipelineError, ProviderError, ProviderRefused, ProviderUnreachable
from batch_pipeline.ledger import fingerprints, jobs
from batch_pipeline.ledger.jobs import Job

PATIENCE = 3
"""Turns in a row that the provider may fail before nobody waits any longer; its client has tried each call thrice."""


@dataclass
class Turn:
    """What a turn came to, and why what is left is left."""

    not_yet: dict[str, str] = field(default_factory=dict[str, str])
    stopped: PipelineError | None = None


@dataclass(frozen=True)
class Placed:
    """An order: its job, and how far it was sent. A job without records is not kept: nothing was to do."""

    job: Job
    sent: Submitted


def place(pipeline: Pipeline, order: Order) -> Placed:
    """Plans an order and sends it, as far as it goes now; the same key goes on with the same job.

    What is answered at once is collected at once.

    Raises:
        PipelineError: Nothing was planned: as `plan`, and where the provider's key is missing.
    """
    pipeline.must_be_enabled()
    pipeline.provider(snapshot_of(pipeline, order).provider)
    job = plan(pipeline, order)
    sent = send(pipeline, job)
    send_due_notices(pipeline)
    return Placed(job, sent)


def send(pipeline: Pipeline, job: Job) -> Submitted:
    """Sends a job that is planned, its canary first, as far as it goes now; what is answered at once is collected."""
    sent = Submitted()
    for job_id in with_canary(job) if job.records else ():
        created = submit_job(pipeline, job_id)
        sent = _both(sent, created)
        if job.at_once and created.created:
            collect(pipeline, job_id)
            retry(pipeline, job_id)
    return sent


def with_canary(job: Job) -> list[str]:
    """The ids of the job and, before it, of its canary."""
    return [*([job.canary] if job.canary else []), job.job_id]


def _both(one: Submitted, other: Submitted) -> Submitted:
    created, not_yet = [*one.created, *other.created], one.not_yet | other.not_yet
    return Submitted(created, not_yet, one.stopped or other.stopped)


def take_turn(pipeline: Pipeline, job_id: str) -> Turn:
    """Polls, collects, retries and submits for one job and its attempts, as far as it goes now.

    Its canary, and the jobs whose answers it waits for, take theirs too: nobody else may be there to do it.

    Raises:
        ProviderError: The listing, or a file, could not be had.
    """
    with pipeline.ledger.read() as db:
        root = jobs.get(db, jobs.get(db, job_id).root_job_id)
    if plan_kept(pipeline, root.job_id):
        with pipeline.ledger.read() as db:
            root = jobs.get(db, root.job_id)
    with pipeline.ledger.read() as db:
        last = jobs.attempts(db, root.job_id)[-1]
        awaited = [*with_canary(root)[:-1], *fingerprints.waited_for(db, last.job_id)]
        others = [jobs.get(db, other).root_job_id for other in awaited]
    turn = Turn()
    poll(pipeline, root.provider)
    for root_job_id in dict.fromkeys([*others, root.job_id]):
        if _take_turn(pipeline, root_job_id, root.provider, turn) and root.at_once:
            _take_turn(pipeline, root_job_id, root.provider, turn)
    send_due_notices(pipeline)
    return turn


def _take_turn(pipeline: Pipeline, root_job_id: str, provider: str, turn: Turn) -> bool:
    """Whether anything was sent."""
    for job in _attempts(pipeline, root_job_id):
        turn.not_yet |= collect(pipeline, job).not_yet
    retry(pipeline, root_job_id)
    if not pipeline.settings.enabled:
        return False
    submitted = submit(pipeline, provider, _attempts(pipeline, root_job_id))
    turn.not_yet |= submitted.not_yet
    turn.stopped = turn.stopped or submitted.stopped
    return bool(submitted.created)


def wait_for(
    pipeline: Pipeline, job_id: str, poll_seconds: float, told: Callable[[JobStatus], None] = lambda _: None
) -> JobStatus:
    """Takes turns until the job and its attempts are done, or held, or stopped by a canary.

    A provider, or a storage of files, that fails for a moment is asked again, `PATIENCE` turns long.

    Raises:
        PipelineError: No further turn would fare better: a refused key, a server that is not there.
        Disabled: What is planned is not to be sent.
    """
    failed = 0
    while True:
        turn = _turn_or_why_not(pipeline, job_id)
        now = status(pipeline, job_id)
        told(replace(now, waits_for=now.waits_for or next(iter(turn.not_yet.values()), None)))
        if now.final or now.stopped:
            return now
        if not any(batch.state in ("submitted", "ended") for batch in now.batches):
            pipeline.must_be_enabled()
        failed = failed + 1 if turn.stopped else 0
        if turn.stopped and (failed >= PATIENCE or not _passes(turn.stopped)):
            raise turn.stopped
        time.sleep(poll_seconds)


def _turn_or_why_not(pipeline: Pipeline, job_id: str) -> Turn:
    try:
        return take_turn(pipeline, job_id)
    except (ProviderError, FilesUnreachable) as error:
        return Turn(stopped=error)


def _passes(error: PipelineError) -> bool:
    return isinstance(error, (ProviderUnreachable, FilesUnreachable)) or (
        isinstance(error, ProviderRefused) and error.status == 429
    )


def submit_job(pipeline: Pipeline, job_id: str) -> Submitted:
    """Sends what is planned of one job, as far as it goes now."""
    with pipeline.ledger.read() as db:
        provider = jobs.get(db, job_id).provider
    return submit(pipeline, provider, [job_id])


def _attempts(pipeline: Pipeline, root_job_id: str) -> list[str]:
    with pipeline.ledger.read() as db:
        return [job.job_id for job in jobs.attempts(db, root_job_id)]
