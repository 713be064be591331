"""A batch that comes to be after its attempt was given up: cancelled, booked, told."""

from __future__ import annotations

from collections.abc import Callable

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger import budgets, events
from batch_pipeline.ledger.sends import DOUBLED
from batch_pipeline_tests.batches.chain import batches_of, planned, run, sends_of, write_notes
from batch_pipeline_tests.books import Books

SECONDS = 2.5
"""How late the provider lists the first batch: longer than anybody waits here, as the protocol can't exclude."""


def test_a_second_batch_is_cancelled_booked_and_told(make_pipeline: Callable[..., Pipeline], books: Books) -> None:
    pipeline = make_pipeline(provider="openai", openai_api_key="sk-test", openai_base_url=books.url, hold_above_usd=100)
    write_notes(pipeline, 3)
    job = planned(pipeline)
    books.order(
        {"kind": "reply_lost", "on": "batches.create"},
        {"kind": "listing_late", "seconds": SECONDS},
        {"kind": "delete_late", "seconds": 60},
        {"kind": "slow", "stage": "in_progress", "seconds": 2 * SECONDS, "times": None},
    )
    assert run(pipeline, job, turns=4_000).outcomes == {"answered": 3}
    first, second = sends_of(pipeline, job)
    assert (first.end, second.end) == (DOUBLED, "collected")
    assert first.remote_id is not None
    with pipeline.ledger.read() as db:
        told = [event for event in events.of_job(db, job.job_id) if event.event == "doubled"]
        spent = budgets.spent_by_job(db, job.job_id)
    assert [event.detail["remote_id"] for event in told] == [first.remote_id]
    (batch,) = batches_of(pipeline, job)
    assert spent == (batch.cost_usd or 0.0) + batch.bound_usd
    statuses = {each["batch_id"]: each["status"] for each in books.batches}
    assert statuses[first.remote_id] in ("cancelling", "cancelled")
