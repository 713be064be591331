"""A person decides about a batch that nothing here can decide about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.resolve import adopt, question, recreate
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


def test_what_is_known_is_told_and_nothing_is_changed(held: tuple[Pipeline, Job]) -> None:
    pipeline, job = held
    (send,) = sends_of(pipeline, job)
    asked = question(pipeline, f"{job.job_id}-0000")
    assert (asked.claim, asked.file_id, asked.posted_at) == (send.claim, send.file_id, send.posted_at)
    assert (asked.same_account, asked.requests) == (True, 2)
    assert send.claim in (asked.filename or "")
    assert sends_of(pipeline, job) == [send]


def test_one_that_carries_another_claim_is_refused(held: tuple[Pipeline, Job], books: Books) -> None:
    """It was adopted, its rows were foreign, and those that were asked for were bought again."""
    pipeline, job = held
    recreate(pipeline, f"{job.job_id}-0000")
    books.order({"kind": "reply_lost", "on": "batches.create"}, {"kind": "listing_empty", "times": None})
    submit_job(pipeline, job.job_id)
    first = str(books.batches[0]["batch_id"])
    with pytest.raises(UsageError, match="is another batch"):
        adopt(pipeline, f"{job.job_id}-0000", first)


def test_one_that_another_batch_is_already_is_refused(held: tuple[Pipeline, Job], books: Books) -> None:
    """It ended in an error of the database."""
    pipeline, job = held
    books.order({"kind": "metadata_dropped"})
    write_notes(pipeline, 4)
    other = planned(pipeline, provider="openai")
    submit_job(pipeline, other.job_id)
    (taken,) = [str(send.remote_id) for send in sends_of(pipeline, other)]
    with pytest.raises(UsageError, match="is another batch"):
        adopt(pipeline, f"{job.job_id}-0000", taken)
