"""When a batch is expected to end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.standing.status import status
from batch_pipeline.batches.standing.watch import end_of_all, expected_end, watched
from batch_pipeline.batches.turn import place, wait_for
from batch_pipeline.sources.files import load_issues
from batch_pipeline.tasks.issue_kind import issue_kind
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.project import NIGHT, SAMPLES


def test_what_has_no_progress_or_is_not_sent_has_no_expected_end() -> None:
    assert expected_end(None, 100.0, 0.5, None) is None
    assert expected_end(0.0, 100.0, 0.0, 9e9) is None
    assert expected_end(0.0, 100.0, 1.0, 9e9) is None


@given(share=st.floats(0.001, 0.999), age=st.floats(0.0, 1e5), window=st.floats(0.0, 1e6))
def test_it_goes_on_as_it_went_and_no_longer_than_its_window(share: float, age: float, window: float) -> None:
    end = expected_end(1000.0, 1000.0 + age, share, 1000.0 + window)
    assert end is not None
    assert 1000.0 + age <= end <= max(1000.0 + age, 1000.0 + window)
    free = expected_end(1000.0, 1000.0 + age, share, None)
    assert free == pytest.approx(1000.0 + age / share)


def test_a_job_is_watched_from_in_flight_to_settled(pipeline: Pipeline, books: Books) -> None:
    load_issues(pipeline.warehouse, [str(SAMPLES)], NIGHT)
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 0.2})
    job = place(pipeline, Order(issue_kind)).job
    (sent,) = watched(pipeline, status(pipeline, job.job_id))
    assert (sent.state, sent.requests, sent.settled, sent.ends_at) == ("submitted", 30, False, None)
    assert sent.submitted_at is not None
    assert sent.age(sent.submitted_at + 7) == 7
    assert end_of_all([sent]) is None
    (done,) = watched(pipeline, wait_for(pipeline, job.job_id, 0.05))
    assert (done.state, done.done, done.settled, done.cost_usd) == ("collected", 30, True, 0.0)
    assert done.age(9e9) == done.age(0.0)
    assert done.input_tokens > 0
