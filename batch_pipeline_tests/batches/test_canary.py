"""A canary: some records first, and the rest when they went well; else nothing more, and the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from batch_pipeline.batches.canary import despite_canary
from batch_pipeline.batches.cancel import cancel
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.standing.due import due
from batch_pipeline.batches.standing.status import JobStatus, status
from batch_pipeline.batches.turn import place, take_turn, wait_for
from batch_pipeline.errors import InvalidTask, UsageError
from batch_pipeline.ledger import events, jobs
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.tasks import BatchTask
from batch_pipeline_tests.batches.chain import Mood, accounted, answers, mood, query, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.endpoint import Said, endpoint, glad

Make = Callable[..., Pipeline]

PROSE: dict[str, object] = {"kind": "prose", "times": None}


def placed(pipeline: Pipeline, notes: int = 10, canary: int | None = 3, **order: Any) -> Job:  # noqa: ANN401 - fields of Order
    write_notes(pipeline, notes)
    return place(pipeline, Order(mood, canary=canary, **order)).job


def waited(pipeline: Pipeline, job: Job) -> JobStatus:
    return wait_for(pipeline, job.job_id, 0.02)


def canary_of(pipeline: Pipeline, job: Job) -> Job:
    with pipeline.ledger.read() as db:
        return jobs.get(db, job.canary or "")


def told(pipeline: Pipeline, job: Job) -> list[str]:
    with pipeline.ledger.read() as db:
        return [event.event for event in events.of_job(db, job.job_id)]


def test_after_a_good_one_everything_is_answered_and_sent_once(pipeline: Pipeline, books: Books) -> None:
    job = placed(pipeline)
    canary = canary_of(pipeline, job)
    assert (canary.records, job.records, job.waiting, job.requests) == (3, 10, 3, 7)
    assert canary.metadata["canary_for"] == job.job_id
    now = status(pipeline, job.job_id)
    assert (now.state, now.canary) == ("planned", canary.job_id)
    assert now.waits_for == f"canary {canary.job_id} goes first: it is sent when enough of that is answered"
    assert [batch["lines_executed"] for batch in books.batches] in ([0], [3])
    state = waited(pipeline, job)
    assert (state.state, state.outcomes, state.waits_for) == ("done", {"answered": 10}, None)
    assert [batch["lines_executed"] for batch in books.batches] == [3, 7]
    assert len(answers(pipeline)) == 10
    accounted(pipeline, [job, canary])
    assert "canary passed" in told(pipeline, job)
    with pipeline.ledger.read() as db:
        seen = str(jobs.get(db, job.job_id).metadata["canary_passed"])
    assert seen.startswith("3 of its 3 records are answered, and 90% must be; it cost 0.000000 USD")


def test_after_a_bad_one_nothing_more_is_sent_and_the_reason_is_shown(pipeline: Pipeline, books: Books) -> None:
    books.order(PROSE)
    job = placed(pipeline)
    canary = canary_of(pipeline, job)
    state = waited(pipeline, job)
    assert (state.state, state.stopped, state.final) == ("planned", True, False)
    assert books.lines_executed == 3 * 3
    why = state.waits_for or ""
    assert why.startswith("stopped by its canary: 0 of its 3 records are answered (3 invalid), and 90% must be")
    assert "for example: sent 3 times: not JSON" in why
    assert f"details {canary.job_id}`" in why
    assert f"`batch-pipeline collect {job.job_id} --despite-canary`" in why
    assert f"`batch-pipeline cancel {job.job_id}`" in why
    assert waited(pipeline, job).waits_for == why
    assert books.lines_executed == 3 * 3
    assert told(pipeline, job).count("waits") == 2
    assert "not JSON" not in str(_details(pipeline, job))


def _details(pipeline: Pipeline, job: Job) -> list[dict[str, object]]:
    with pipeline.ledger.read() as db:
        return [event.detail for event in events.of_job(db, job.job_id)]


def test_a_person_sends_it_all_the_same(pipeline: Pipeline, books: Books) -> None:
    books.order(PROSE)
    job = placed(pipeline)
    waited(pipeline, job)
    books.order()
    despite_canary(pipeline, job.job_id)
    despite_canary(pipeline, job.job_id)
    state = waited(pipeline, job)
    assert state.outcomes["answered"] == 7
    assert sum(state.outcomes.values()) == 10
    assert told(pipeline, job).count("sent despite its canary") == 1


def test_a_person_cancels_it(pipeline: Pipeline, books: Books) -> None:
    books.order(PROSE)
    job = placed(pipeline)
    waited(pipeline, job)
    cancel(pipeline, job.job_id)
    state = waited(pipeline, job)
    assert (state.state, state.outcomes["cancelled"]) == ("cancelled", 7)


def test_one_that_shows_that_all_is_too_dear_stops_it(make_pipeline: Make) -> None:
    """An answer costs far more than was estimated: 90 more of them do not fit into the budget, which 10 kept to."""

    def dear(body: dict[str, Any]) -> Said:
        status_, headers, content = glad(body)
        answer = json.loads(content)
        answer["usage"] = {"prompt_tokens": 100_000, "completion_tokens": 10, "total_tokens": 100_010}
        return status_, headers, json.dumps(answer).encode()

    with endpoint(dear) as there:
        at = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": there.url, "provider": "openai"}
        pipeline = make_pipeline(**at, budget_job_usd=0.05)
        job = placed(pipeline, 10, 2, mode="realtime")
        state = waited(pipeline, job)
        assert state.stopped
        assert "with which all of it comes to 0.10 USD, and the job may spend 0.05 USD" in str(state.waits_for)
        assert len(there.bodies) == 2
        richer = make_pipeline(**at, budget_job_usd=1.0)
        assert waited(richer, job).outcomes == {"answered": 10}


def test_realtime_goes_through_at_once(pipeline: Pipeline, books: Books) -> None:
    job = placed(pipeline, mode="realtime")
    assert waited(pipeline, job).outcomes == {"answered": 10}
    assert books.batches == []
    assert query(pipeline, "SELECT count(*), count(DISTINCT custom_id) FROM batch_results WHERE http_status = 200") == [
        (10, 10)
    ]


@pytest.mark.parametrize("records", [10, 50])
def test_one_as_large_as_all_of_it_is_all_there_is_to_send(pipeline: Pipeline, books: Books, records: int) -> None:
    job = placed(pipeline, 10, records)
    assert (job.requests, job.waiting) == (0, 10)
    assert waited(pipeline, job).outcomes == {"answered": 10}
    assert books.lines_executed == 10


def test_one_without_anything_to_ask_is_none(pipeline: Pipeline) -> None:
    waited(pipeline, placed(pipeline, 3, None))
    job = placed(pipeline, 3, 2)
    assert (job.records, job.canary) == (0, None)


def test_one_whose_records_were_answered_before_lets_the_rest_go(pipeline: Pipeline, books: Books) -> None:
    """Nothing of it is in flight, so nothing of the job waits for it: a turn of the job closes it all the same."""
    write_notes(pipeline, 3)
    waited(pipeline, place(pipeline, Order(said("once"))).job)
    write_notes(pipeline, 6)
    job = place(pipeline, Order(said("twice"), canary=3)).job
    assert (canary_of(pipeline, job).requests, job.requests, job.waiting) == (0, 3, 0)
    assert waited(pipeline, job).outcomes == {"answered": 6}
    assert books.lines_executed == 6


def said(name: str) -> BatchTask:
    """A task that asks the same as any other of these, under a name of its own."""
    return BatchTask(name=name, records="FROM notes", prompt="{text}", answer=str, partitions=None)


def test_a_call_that_is_repeated_finds_both_jobs(pipeline: Pipeline, books: Books) -> None:
    first = placed(pipeline, key="mine", partition_key="2026-01-01")
    again = placed(pipeline, key="mine", partition_key="2026-01-01")
    assert (again.job_id, again.canary) == (first.job_id, first.canary)
    with pipeline.ledger.read() as db:
        assert len(jobs.newest(db)) == 2
    waited(pipeline, first)
    assert placed(pipeline, key="mine", partition_key="2026-01-01").canary == first.canary
    assert books.lines_executed == 10


def test_what_failed_counts_against_it(pipeline: Pipeline, books: Books) -> None:
    books.order({"kind": "rows", "status": 400, "every": 2, "times": 1})
    state = waited(pipeline, placed(pipeline, 10, 4))
    assert "2 of its 4 records are answered (2 failed)" in str(state.waits_for)


def test_the_monitor_asks_again_when_the_canary_is_through_and_not_before(pipeline: Pipeline, books: Books) -> None:
    books.order({**PROSE, "times": 3})
    job = placed(pipeline)
    assert job.job_id not in {one.job_id for one in due(pipeline).to_send}
    canary = canary_of(pipeline, job)
    for _ in range(200):
        take_turn(pipeline, canary.job_id)
        if status(pipeline, canary.job_id).final:
            break
    assert [one.job_id for one in due(pipeline).to_send] == [job.job_id]
    take_turn(pipeline, job.job_id)
    assert status(pipeline, job.job_id).stopped
    assert due(pipeline).to_send == ()
    despite_canary(pipeline, job.job_id)
    assert [one.job_id for one in due(pipeline).to_send] == [job.job_id]


def test_a_job_without_one_has_nothing_to_send_despite(pipeline: Pipeline) -> None:
    with pytest.raises(UsageError, match="has no canary"):
        despite_canary(pipeline, placed(pipeline, canary=None).job_id)


def test_a_task_says_how_many_at_least_one() -> None:
    with pytest.raises(InvalidTask, match="at least 1 record"):
        BatchTask(name="none", records="FROM notes", prompt="{text}", answer=Mood, canary=0)
