"""What is planned is not sent, what is in flight is asked back, what was done is collected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from batch_pipeline.batches.cancel import cancel
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.errors import UnknownJob
from batch_pipeline_tests.batches.chain import answers, planned, run, write_notes
from batch_pipeline_tests.books import Books


def test_a_job_that_is_cancelled_before_it_is_sent_is_never_sent(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 2)
    job = planned(pipeline)
    cancel(pipeline, job.job_id)
    state = run(pipeline, job)
    assert (state.state, state.outcomes) == ("cancelled", {"cancelled": 2})
    assert books.batches == []


def test_what_was_cancelled_is_free_to_be_asked_again(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    job = planned(pipeline)
    cancel(pipeline, job.job_id)
    run(pipeline, job)
    assert run(pipeline, planned(pipeline)).outcomes == {"answered": 2}


def test_a_batch_in_flight_is_cancelled_and_keeps_what_was_answered(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(max_requests=5)
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 30, "times": 1, "skip": 1})
    write_notes(pipeline, 10)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    cancel(pipeline, job.job_id)
    cancel(pipeline, job.job_id)
    state = run(pipeline, job)
    assert state.state == "cancelled"
    assert sum(state.outcomes.values()) == 10
    assert state.attempts == 1
    assert len(answers(pipeline)) == state.answered


def test_an_unknown_job_is_said(pipeline: Pipeline) -> None:
    with pytest.raises(UnknownJob, match="no job `nonsense`"):
        cancel(pipeline, "nonsense")
