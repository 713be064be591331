"""Collect, and what follows from it: the next attempt, sent at once; job by job, none of which stops another."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from batch_pipeline.batches.collect import collect
from batch_pipeline.batches.outcomes.download import download_all
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.retry import retry
from batch_pipeline.batches.submit_all import submit_all
from batch_pipeline.errors import Disabled, WarehouseBusy
from batch_pipeline.ledger import jobs
from batch_pipeline.ledger.jobs import Job

OPEN_SECONDS = 2.0
"""How long jobs are collected with one opening of the warehouse, which takes 50 ms; others wait for so long."""


@dataclass
class Advanced:
    """What came of it: batches collected, attempts made, and by job why something did not go."""

    batches: list[str] = field(default_factory=list[str])
    attempts: list[Job] = field(default_factory=list[Job])
    not_yet: dict[str, str] = field(default_factory=dict[str, str])
    broken: dict[str, Exception] = field(default_factory=dict[str, Exception])


def advance(pipeline: Pipeline, root_job_ids: Iterable[str], told: Callable[[str], None]) -> Advanced:
    """Collects what has ended of each job and its attempts, and sends what goes again.

    Args:
        pipeline: The pipeline.
        root_job_ids: The jobs.
        told: Gets a line for each that came on.
    """
    done, waiting = Advanced(), deque(root_job_ids)
    download_all(pipeline, [job.job_id for root in waiting for job in chain_of(pipeline, root)])
    while waiting:
        try:
            with pipeline.warehouse.kept_open():
                _collect_some(pipeline, waiting, done, told)
        except WarehouseBusy as busy:
            done.broken |= dict.fromkeys(waiting, busy)
            break
    _send(pipeline, done.attempts, done)
    return done


def chain_of(pipeline: Pipeline, root_job_id: str) -> list[Job]:
    """A job and its attempts."""
    with pipeline.ledger.read() as db:
        return jobs.attempts(db, root_job_id)


def _collect_some(pipeline: Pipeline, waiting: deque[str], done: Advanced, told: Callable[[str], None]) -> None:
    """Takes jobs from the front, for as long as the warehouse may be kept from others."""
    until = time.monotonic() + OPEN_SECONDS
    while waiting and time.monotonic() < until:
        root = waiting.popleft()
        try:
            _collect(pipeline, root, done, told)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one job, the others go on
            done.broken[root] = error


def _collect(pipeline: Pipeline, root: str, done: Advanced, told: Callable[[str], None]) -> None:
    for job in chain_of(pipeline, root):
        turn = collect(pipeline, job.job_id)
        done.batches += turn.batches
        done.not_yet |= {root: "; ".join(turn.not_yet.values())} if turn.not_yet else {}
        if turn.batches:
            told(f"{job.job_id}: collected {len(turn.batches)} batches")
    try:
        attempt = retry(pipeline, root)
    except Disabled as disabled:
        done.not_yet[root] = str(disabled)
        return
    if attempt is not None:
        told(f"{root}: {attempt.records:,} records go again, attempt {attempt.attempt}")
        done.attempts.append(attempt)


def _send(pipeline: Pipeline, attempts: Sequence[Job], done: Advanced) -> None:
    """What can't be sent now is planned, and the monitor asks for it: nothing that was collected depends on it."""
    stopped = submit_all(pipeline, attempts).stopped
    done.not_yet |= {job.root_job_id: str(stopped[job.provider]) for job in attempts if job.provider in stopped}
