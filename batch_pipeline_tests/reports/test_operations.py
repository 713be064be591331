"""How batches fared: their times, ends and queue."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.turn import place
from batch_pipeline.reports.operations import operations, share_of
from batch_pipeline.tasks.registry import load_tasks


def test_batches_are_counted_by_day_and_requests_by_code(paid: Pipeline) -> None:
    found = operations(paid)
    (day,) = found.days
    assert (day.batches, day.requests, day.model) == (2, 44, "gpt-6-luna")
    assert 0 <= day.median_seconds <= day.p95_seconds < 60
    ended = {(each.outcome, each.code): each.requests for each in found.ended}
    assert ended == {("answered", "answered"): 43, ("failed", "invalid_prompt"): 1}
    assert (found.queue, found.in_flight, found.oldest_seconds) == ([], [], 0.0)


def test_what_is_on_its_way_is_in_the_queue_with_its_age(paid: Pipeline) -> None:
    job = place(paid, Order(load_tasks().get("issue_embeddings"))).job
    found = operations(paid)
    (waiting,) = found.queue
    assert (waiting.job_id, waiting.state, waiting.batches) == (job.job_id, "in_flight", 1)
    assert waiting.oldest_seconds is not None
    assert abs(found.oldest_seconds - waiting.oldest_seconds) < 0.1
    assert found.oldest_seconds <= time.time() - job.created_at + 1
    assert [run.batch_id for run in found.in_flight] == [f"{job.job_id}-0000"]


@given(st.lists(st.floats(0, 1e6), max_size=40))
def test_a_share_lies_within_what_was_seen(seconds: list[float]) -> None:
    found = share_of(seconds, 95)
    assert min(seconds, default=0.0) - 1e-6 <= found <= max(seconds, default=0.0) + 1e-6
