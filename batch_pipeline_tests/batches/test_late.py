"""A provider that lists a new batch late, deletes a file late, and executes a POST long after its client died.

The times are those that the protocol was made for: listed 5 s late, deleted 3 s late, WAIT 9 s, executed after 30 s;
here at a twelfth of that. `TIME_SCALE=1 python -m pytest batch_pipeline_tests/batches/test_late.py` is the full size.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import status
from batch_pipeline.ledger import events
from batch_pipeline.ledger.jobs import Job
from batch_pipeline_tests.batches.apart import apart, killed_at, submitted, turns
from batch_pipeline_tests.batches.chain import planned, sends_of, write_notes
from batch_pipeline_tests.books import Books

SCALE = float(os.environ.get("TIME_SCALE", "0.08333"))
LISTED, DELETED, WAIT, EXECUTED = 5 * SCALE, 3 * SCALE, 9 * SCALE, 30 * SCALE
LATE: list[dict[str, object]] = [
    {"kind": "listing_late", "seconds": LISTED, "times": None},
    {"kind": "delete_late", "seconds": DELETED, "times": None},
]


@pytest.fixture
def pipeline(make_pipeline: Callable[..., Pipeline]) -> Pipeline:
    """With three notes."""
    made = make_pipeline(create_wait_seconds=WAIT)
    write_notes(made, 3)
    return made


def told(pipeline: Pipeline, job: Job) -> list[str]:
    with pipeline.ledger.read() as db:
        return [event.event for event in events.of_job(db, job.job_id)]


def through(pipeline: Pipeline, job: Job) -> None:
    assert apart(partial(turns, pipeline.settings, job.job_id, 90.0)) == 0
    assert status(pipeline, job.job_id).outcomes == {"answered": 3}


def test_a_batch_that_is_listed_late_is_adopted(pipeline: Pipeline, books: Books) -> None:
    books.order(*LATE, {"kind": "reply_lost", "on": "batches.create"})
    job = planned(pipeline)
    through(pipeline, job)
    assert told(pipeline, job).count("adopted") == 1
    assert (len(books.batches), books.lines_executed) == (1, 3)


def test_a_post_that_is_executed_before_the_delete_works_is_adopted(pipeline: Pipeline, books: Books) -> None:
    """It comes after the fence was confirmed, and before it stands: WAIT is long enough to see it in the listing."""
    books.order(*LATE, {"kind": "request_late", "on": "batches.create", "seconds": WAIT + 0.5 * DELETED})
    job = planned(pipeline)
    killed_at("send.bytes_out", partial(submitted, pipeline.settings, job.job_id))
    through(pipeline, job)
    assert len(sends_of(pipeline, job)) == 1 or len(books.batches) == 2  # or it came when the fence stood already
    assert (len(books.paid), books.lines_executed) == (1, 3)


def test_a_post_that_is_executed_long_after_its_client_was_killed_is_void(pipeline: Pipeline, books: Books) -> None:
    books.order(*LATE, {"kind": "request_late", "on": "batches.create", "seconds": EXECUTED})
    job = planned(pipeline)
    killed_at("send.bytes_out", partial(submitted, pipeline.settings, job.job_id))
    through(pipeline, job)
    deadline = time.monotonic() + EXECUTED + 30
    while len(books.batches) == 1 and len(sends_of(pipeline, job)) > 1:
        assert time.monotonic() < deadline, "the POST was never executed"
        time.sleep(0.05)  # the server's own time has to go by
    assert [send.end for send in sends_of(pipeline, job)] in (["void", "collected"], ["collected"])
    assert (len(books.paid), books.lines_executed) == (1, 3)
