"""A turn: everything that can be done now for a job, or for all, in the order of its life."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from batch_pipeline.batches.collect import collect
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.retry import retry
from batch_pipeline.batches.status import JobStatus, status
from batch_pipeline.batches.submit import Submitted, submit
from batch_pipeline.errors import PipelineError
from batch_pipeline.ledger import jobs


@dataclass
class Turn:
    """What a turn came to, and why what is left is left."""

    not_yet: dict[str, str] = field(default_factory=dict[str, str])
    stopped: PipelineError | None = None


def take_turn(pipeline: Pipeline, job_id: str) -> Turn:
    """Polls, collects, retries and submits for one job and its attempts, as far as it goes now.

    Raises:
        ProviderError: The listing, or a file, could not be had.
    """
    with pipeline.ledger.read() as db:
        root = jobs.get(db, jobs.get(db, job_id).root_job_id)
    turn = Turn()
    poll(pipeline, root.provider)
    for job in _attempts(pipeline, root.job_id):
        turn.not_yet |= collect(pipeline, job).not_yet
    retry(pipeline, root.job_id)
    if pipeline.settings.enabled:
        submitted = submit(pipeline, root.provider, _attempts(pipeline, root.job_id))
        turn.not_yet |= submitted.not_yet
        turn.stopped = submitted.stopped
    return turn


def wait_for(
    pipeline: Pipeline, job_id: str, poll_seconds: float, told: Callable[[JobStatus], None] = lambda _: None
) -> JobStatus:
    """Takes turns until the job and its attempts are done or held.

    Raises:
        PipelineError: No further turn would fare better: a refused key, a server that is not there.
    """
    while True:
        turn = take_turn(pipeline, job_id)
        now = status(pipeline, job_id)
        told(now)
        if now.final:
            return now
        if turn.stopped is not None:
            raise turn.stopped
        time.sleep(poll_seconds)


def submit_job(pipeline: Pipeline, job_id: str) -> Submitted:
    """Sends what is planned of one job, as far as it goes now."""
    with pipeline.ledger.read() as db:
        provider = jobs.get(db, job_id).provider
    return submit(pipeline, provider, [job_id])


def _attempts(pipeline: Pipeline, root_job_id: str) -> list[str]:
    with pipeline.ledger.read() as db:
        return [job.job_id for job in jobs.attempts(db, root_job_id)]
