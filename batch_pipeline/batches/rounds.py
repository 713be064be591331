"""A round: everything that can be done now for all jobs that were made outside Dagster. The server takes them.

Whatever goes wrong with one job or one provider, the others go on; it is tried again by the next round.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from batch_pipeline.batches.collect import collect
from batch_pipeline.batches.due import ASSET, due
from batch_pipeline.batches.notices import send_due_notices
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import listed_at, look_at_told, must_list, not_closed_providers, poll
from batch_pipeline.batches.retry import retry
from batch_pipeline.batches.schedules import place_due
from batch_pipeline.batches.submit import submit
from batch_pipeline.batches.turn import with_canary
from batch_pipeline.errors import PipelineError
from batch_pipeline.ledger import jobs
from batch_pipeline.ledger.jobs import Job

log = logging.getLogger(__name__)

LOCAL_SECONDS = 1.0
"""How often the local server is listed."""


@dataclass
class Round:
    """What a round came to: how many were sent and collected, and what went wrong."""

    sent: int = 0
    collected: int = 0
    problems: list[str] = field(default_factory=list[str])


def take_round(pipeline: Pipeline, fresh: Iterable[str] = ()) -> Round:
    """One round.

    Args:
        pipeline: The pipeline.
        fresh: Jobs that were just planned: to be sent now, where others are left to whoever planned them for a while.
    """
    done = Round()
    _try(done, lambda: look_at_told(pipeline))
    for provider in not_closed_providers(pipeline):
        if _is_time(pipeline, provider):
            _try(done, lambda provider=provider: poll(pipeline, provider))
    found = due(pipeline)
    again = [attempt for job in found.to_collect if _is_ours(job) for attempt in _collect(pipeline, job, done)]
    _send(pipeline, [*fresh, *(job.job_id for job in found.to_send if _is_ours(job)), *again], done)
    _try(done, lambda: place_due(pipeline))
    send_due_notices(pipeline)
    return done


def _is_ours(job: Job) -> bool:
    """Dagster collects what it has asked for."""
    return ASSET not in job.metadata


def _is_time(pipeline: Pipeline, provider: str) -> bool:
    if pipeline.settings.webhooks_tell(provider):
        return must_list(pipeline, provider)
    every = LOCAL_SECONDS if provider == "local" else pipeline.settings.poll_seconds
    with pipeline.ledger.read() as db:
        return time.time() - listed_at(db).get(provider, 0.0) >= every


def _collect(pipeline: Pipeline, root: Job, done: Round) -> list[str]:
    """Collects a job with its attempts; the attempt that follows from that."""
    try:
        with pipeline.ledger.read() as db:
            chain = [job.job_id for job in jobs.attempts(db, root.job_id)]
        for job_id in chain:
            done.collected += len(collect(pipeline, job_id).batches)
        attempt = retry(pipeline, root.job_id) if pipeline.settings.enabled else None
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one job, the others go on
        _note(done, f"{root.job_id}: {error}", error)
        return []
    return [attempt.job_id] if attempt else []


def _send(pipeline: Pipeline, job_ids: Iterable[str], done: Round) -> None:
    if not pipeline.settings.enabled:
        return
    by_provider: dict[str, list[str]] = {}
    with pipeline.ledger.read() as db:
        for job_id in dict.fromkeys(job_ids):
            job = jobs.get(db, job_id)
            by_provider.setdefault(job.provider, []).extend(with_canary(job))
    for provider, theirs in by_provider.items():
        _try(done, lambda provider=provider, theirs=theirs: _submit(pipeline, provider, theirs, done))


def _submit(pipeline: Pipeline, provider: str, job_ids: list[str], done: Round) -> None:
    turn = submit(pipeline, provider, job_ids)
    done.sent += len(turn.created)
    if turn.stopped:
        raise turn.stopped


def _try(done: Round, step: Callable[[], object]) -> None:
    try:
        step()
    except PipelineError as error:
        _note(done, str(error), error)


def _note(done: Round, what: str, error: Exception) -> None:
    done.problems.append(what)
    log.warning("%s", what, exc_info=None if isinstance(error, PipelineError) else error)
