"""A round: everything that can be done now for all jobs that were made outside Dagster. The server takes them.

Whatever goes wrong with one job or one provider, the others go on; it is tried again by the next round.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from batch_pipeline.batches.collect import collect
from batch_pipeline.batches.kept_orders import PLANNING_SECONDS, plan_all_kept
from batch_pipeline.batches.notices import send_due_notices
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import listed_at, look_at_told, must_list, not_closed_providers, poll
from batch_pipeline.batches.retry import retry
from batch_pipeline.batches.schedules import place_due
from batch_pipeline.batches.standing.due import ASSET, due
from batch_pipeline.batches.submit_all import submit_all
from batch_pipeline.errors import PipelineError
from batch_pipeline.ledger import jobs
from batch_pipeline.ledger.jobs import Job

log = logging.getLogger(__name__)

SENT_TOGETHER = 10
"""Jobs that are sent before something more urgent may come in between."""
LOCAL_SECONDS = 1.0
"""How often the local server is listed."""


@dataclass
class Round:
    """What a round came to: how many were sent and collected, and what went wrong."""

    sent: int = 0
    collected: int = 0
    problems: list[str] = field(default_factory=list[str])


def take_round(pipeline: Pipeline, fresh: Iterable[str] = (), *, make_way: Callable[[], None] = lambda: None) -> Round:
    """One round.

    Args:
        pipeline: The pipeline.
        fresh: Jobs that were just planned: to be sent now, where others are left to whoever planned them for a while.
        make_way: Called between two jobs; may wait for what is more urgent, and holds nothing meanwhile.
    """
    done = Round()
    _try(done, lambda: look_at_told(pipeline))
    fresh = [*fresh, *plan_all_kept(pipeline, time.monotonic() + PLANNING_SECONDS)]
    for provider in not_closed_providers(pipeline):
        if _is_time(pipeline, provider):
            _try(done, lambda provider=provider: poll(pipeline, provider))
    found = due(pipeline)
    again = list[str]()
    for job in filter(_is_ours, found.to_collect):
        make_way()
        again += _collect(pipeline, job, done)
    _send(pipeline, [*fresh, *(job.job_id for job in filter(_is_ours, found.to_send)), *again], done, make_way)
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


def _send(pipeline: Pipeline, job_ids: Iterable[str], done: Round, make_way: Callable[[], None]) -> None:
    if not pipeline.settings.enabled:
        return
    with pipeline.ledger.read() as db:
        theirs = [jobs.get(db, job_id) for job_id in dict.fromkeys(job_ids)]
    sent = submit_all(pipeline, theirs, together=SENT_TOGETHER, make_way=make_way)
    done.sent += len(sent.created)
    for error in sent.stopped.values():
        _note(done, str(error), error)


def _try(done: Round, step: Callable[[], object]) -> bool:
    """Whether it worked."""
    try:
        step()
    except PipelineError as error:
        _note(done, str(error), error)
        return False
    return True


def _note(done: Round, what: str, error: Exception) -> None:
    done.problems.append(what)
    log.warning("%s", what, exc_info=None if isinstance(error, PipelineError) else error)
