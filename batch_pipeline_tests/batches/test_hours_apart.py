"""Three batches of one job that end one after the other, and a collection that is killed: each is asked for again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial

from batch_pipeline.batches import points
from batch_pipeline.batches.collect import collect
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.retry import retry
from batch_pipeline.batches.standing.due import due
from batch_pipeline.batches.standing.status import status
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.settings import Settings
from batch_pipeline_tests.batches.chain import accounted, batches_of, planned, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.processes import processes

HOUR = 1.0
"""Seconds that stand for one here."""
KILLED_AT = ("collect.output_half", "collect.duckdb_open", "collect.duckdb_committed")


def test_each_is_asked_for_when_it_ends_and_again_when_its_collection_is_killed(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(max_requests=2)
    write_notes(pipeline, 6)
    job = planned(pipeline)
    books.order(*(ends_after(n * HOUR, f"*-{n:04d}-*") for n in range(3)))
    submit_job(pipeline, job.job_id)
    assert asked_for(pipeline) == []
    for point in KILLED_AT:
        if wait_until_one_has_ended(pipeline, job) == 0:
            break  # the machine is so slow that some ended together
        assert asked_for(pipeline) == [job.job_id]
        killed(partial(collect_until, pipeline.settings, job.job_id, point))
        assert asked_for(pipeline) == [job.job_id]
        collect(pipeline, job.job_id)
    assert asked_for(pipeline) == [job.job_id]  # to be closed
    assert retry(pipeline, job.job_id) is None
    assert asked_for(pipeline) == []
    assert status(pipeline, job.job_id).outcomes == {"answered": 6}
    accounted(pipeline, [job])
    assert (len(books.batches), books.lines_executed) == (3, 6)


def test_a_job_whose_closing_is_killed_is_asked_for_again(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, 2)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    wait_until_one_has_ended(pipeline, job)
    killed(partial(collect_until, pipeline.settings, job.job_id, "collect.ledger_committed"))
    assert asked_for(pipeline) == [job.job_id]
    assert status(pipeline, job.job_id).final is False


def asked_for(pipeline: Pipeline) -> list[str]:
    """What the monitor would ask a run for."""
    return [job.job_id for job in due(pipeline).to_collect]


def ends_after(seconds: float, filename: str) -> dict[str, object]:
    return {"kind": "slow", "stage": "in_progress", "seconds": seconds, "filename": filename, "times": None}


def wait_until_one_has_ended(pipeline: Pipeline, job: Job) -> int:
    """How many batches have ended and are not collected; 0 where all are."""
    deadline = time.monotonic() + 60
    while any(batch.collected_at is None for batch in batches_of(pipeline, job)):
        assert time.monotonic() < deadline
        poll(pipeline, "local")
        if ended := sum(batch.ended_at is not None and not batch.collected_at for batch in batches_of(pipeline, job)):
            return ended
    return 0


def killed(step: Callable[[], None]) -> None:
    """Runs it in a process of its own, which is killed."""
    process = processes.Process(target=step)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    process.close()


def collect_until(settings: Settings, job_id: str, point: str) -> None:
    """Collects, and dies at the point."""

    def die(reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    points.hook = die
    collect(Pipeline(settings), job_id)
