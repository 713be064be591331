"""A clock that is stepped an hour forward or back between a POST and what is made of it: nothing is sent twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import status
from batch_pipeline_tests.batches.apart import apart, killed_at, submitted, turns
from batch_pipeline_tests.batches.chain import planned, sends_of, write_notes
from batch_pipeline_tests.books import Books

HOUR = 3600.0
WAIT = 0.6
LATE: dict[str, object] = {"kind": "listing_late", "seconds": 0.4, "times": None}


@pytest.mark.parametrize("step", [HOUR, -HOUR])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reply_lost", "on": "batches.create"},
        {"kind": "request_lost", "on": "batches.create"},
        {"kind": "request_late", "on": "batches.create", "seconds": 1.0},
    ],
    ids=["reply lost", "request lost", "request late"],
)
def test_one_batch_is_paid(
    make_pipeline: Callable[..., Pipeline], books: Books, step: float, fault: dict[str, object]
) -> None:
    pipeline = make_pipeline(create_wait_seconds=WAIT)
    write_notes(pipeline, 3)
    job = planned(pipeline)
    books.order(fault, LATE)
    killed_at("send.bytes_out", partial(submitted, pipeline.settings, job.job_id))
    assert [send.remote_id for send in sends_of(pipeline, job)] == [None]
    assert apart(partial(turns, pipeline.settings, job.job_id, 2.5 if step > 0 else 0.8, step)) == 0
    assert apart(partial(turns, pipeline.settings, job.job_id, 80.0)) == 0  # the clock is set right again
    assert status(pipeline, job.job_id).outcomes == {"answered": 3}
    assert (len(books.paid), books.lines_executed) == (1, 3)
