"""A person decides about a batch that nothing here can decide about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.resolve import adopt, recreate
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.errors import UsageError
from batch_pipeline.ledger.jobs import Job
from batch_pipeline_tests.batches.chain import planned, run, sends_of, write_notes
from batch_pipeline_tests.books import Books


@pytest.fixture
def held(make_pipeline: Callable[..., Pipeline], books: Books) -> tuple[Pipeline, Job]:
    """A job whose reply to create was lost, at a server that can't be fenced."""
    pipeline = make_pipeline(OPENAI_API_KEY="k", OPENAI_BASE_URL=books.url, hold_above_usd=0.0)
    books.order(
        {"kind": "reply_lost", "on": "batches.create"},
        {"kind": "listing_empty", "times": None},
        {"kind": "status", "on": "files.delete", "status": 405, "times": None},
    )
    write_notes(pipeline, 2)
    job = planned(pipeline, provider="openai")
    assert run(pipeline, job).state == "held"
    return pipeline, job


def test_the_one_that_a_person_found_is_adopted_and_collected(held: tuple[Pipeline, Job], books: Books) -> None:
    pipeline, job = held
    (remote,) = books.batches
    adopt(pipeline, f"{job.job_id}-0000", str(remote["batch_id"]))
    assert run(pipeline, job).outcomes == {"answered": 2}
    assert books.lines_executed == 2


def test_one_that_does_not_exist_is_sent_anew(held: tuple[Pipeline, Job]) -> None:
    pipeline, job = held
    recreate(pipeline, f"{job.job_id}-0000")
    submit_job(pipeline, job.job_id)
    assert [send.end for send in sends_of(pipeline, job)] == ["void", None]


def test_an_id_that_the_provider_has_not_is_refused(held: tuple[Pipeline, Job]) -> None:
    pipeline, job = held
    with pytest.raises(UsageError, match="no batch `batch_nonsense`"):
        adopt(pipeline, f"{job.job_id}-0000", "batch_nonsense")


def test_what_is_not_open_is_not_resolved(pipeline: Pipeline) -> None:
    write_notes(pipeline, 1)
    job = planned(pipeline)
    run(pipeline, job)
    with pytest.raises(UsageError, match="nothing to resolve"):
        recreate(pipeline, f"{job.job_id}-0000")
    with pytest.raises(UsageError, match="no batch `x-0000`"):
        recreate(pipeline, "x-0000")
