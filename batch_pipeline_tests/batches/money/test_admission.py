"""No run spends more than it was allowed to, and no more is queued than the provider takes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.standing.status import JobStatus, status
from batch_pipeline.batches.submit import submit
from batch_pipeline.batches.turn import submit_job, take_turn
from batch_pipeline.ledger import batches, budgets, events, jobs, sends
from batch_pipeline.ledger.sends import Send
from batch_pipeline_tests.batches.chain import batches_of, planned, run, write_notes
from batch_pipeline_tests.books import Books


def dear(pipeline: Pipeline, budget_usd: float | None = None) -> jobs.Job:
    """A job that costs money."""
    own = {} if budget_usd is None else {"budget_usd": budget_usd}
    return planned(pipeline, provider="openai", model="gpt-6-astra", metadata=own)


@pytest.fixture
def paid(make_pipeline: Callable[..., Pipeline], books: Books) -> Callable[..., Pipeline]:
    """Makes a pipeline whose provider costs money."""

    def make(**settings: object) -> Pipeline:
        return make_pipeline(OPENAI_API_KEY="k", OPENAI_BASE_URL=books.url, **settings)

    return make


def spent(pipeline: Pipeline, job: jobs.Job) -> float:
    with pipeline.ledger.read() as db:
        return budgets.spent_by_job(db, job.job_id)


@pytest.mark.parametrize("budget", ["budget_job_usd", "budget_day_usd", "budget_month_usd"])
def test_a_batch_that_might_go_over_a_budget_waits_and_says_why(
    paid: Callable[..., Pipeline], books: Books, budget: str
) -> None:
    pipeline = paid(max_requests=2)
    write_notes(pipeline, 6)
    job = dear(pipeline)
    bound = batches_of(pipeline, job)[0].bound_usd
    tight = paid(**{budget: 2.5 * bound, "max_requests": 2})
    turn = submit_job(tight, job.job_id)
    assert (len(turn.created), len(books.batches)) == (2, 2)
    (why,) = turn.not_yet.values()
    assert why.startswith("budget: ")
    assert budget.upper() in why
    assert spent(tight, job) == pytest.approx(2 * bound)


def test_what_is_settled_frees_what_was_reserved_and_the_rest_goes(paid: Callable[..., Pipeline]) -> None:
    pipeline = paid(max_requests=2)
    write_notes(pipeline, 6)
    job = dear(pipeline)
    tight = paid(max_requests=2, budget_job_usd=2.5 * batches_of(pipeline, job)[0].bound_usd)
    state = run(tight, job)
    assert state.outcomes == {"answered": 6}
    assert spent(tight, job) == pytest.approx(state.cost_usd)


def test_a_job_has_a_budget_even_where_none_is_set(paid: Callable[..., Pipeline], books: Books) -> None:
    pipeline = paid()
    write_notes(pipeline, 2)
    job = dear(pipeline, budget_usd=0.000001)
    assert "budget: this job may spend" in next(iter(submit_job(pipeline, job.job_id).not_yet.values()))
    assert status(pipeline, job.job_id).state == "planned"
    assert books.batches == []


def test_what_was_refused_or_never_created_reserves_nothing(paid: Callable[..., Pipeline], books: Books) -> None:
    pipeline = paid()
    books.order({"kind": "status", "on": "batches.create", "status": 400, "message": "No."})
    write_notes(pipeline, 2)
    job = dear(pipeline)
    submit_job(pipeline, job.job_id)
    assert spent(pipeline, job) == 0.0


def test_many_who_submit_at_once_never_reserve_more_than_the_budget(paid: Callable[..., Pipeline]) -> None:
    first = paid(max_requests=1)
    write_notes(first, 16)
    job = dear(first)
    bounds = [batch.bound_usd for batch in batches_of(first, job)]
    budget = sum(bounds) * 0.4
    pipelines = [paid(max_requests=1, budget_day_usd=budget) for _ in range(4)]
    threads = [threading.Thread(target=submit, args=(pipeline, "openai")) for pipeline in pipelines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < spent(first, job) <= budget
    assert spent(first, job) + min(bounds) > budget


def test_no_more_is_queued_than_the_setting_allows(make_pipeline: Callable[..., Pipeline], books: Books) -> None:
    pipeline = make_pipeline(max_requests=2)
    write_notes(pipeline, 10)
    job = planned(pipeline)
    one = batches_of(pipeline, job)[0].input_tokens
    tight = make_pipeline(max_requests=2, enqueued_tokens=int(2.5 * one))
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 0.3, "times": None})
    turn = submit_job(tight, job.job_id)
    assert len(turn.created) == 2
    assert all(why.startswith("capacity: ") for why in turn.not_yet.values())
    assert run(tight, job).outcomes == {"answered": 10}


def test_ten_batches_of_40_percent_of_a_limit_that_nobody_knew_go_two_at_a_time_once_it_is_learned(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(max_requests=2)
    write_notes(pipeline, 20)
    job = planned(pipeline)
    limit = int(2.5 * max(batch.input_tokens for batch in batches_of(pipeline, job)))
    books.order(
        {"kind": "token_limit", "limit": limit, "times": None},
        {"kind": "slow", "stage": "in_progress", "seconds": 0.2, "times": None},
    )
    assert len(submit_job(pipeline, job.job_id).created) == 10
    most = 0

    def watch() -> None:
        nonlocal most
        learned = learned_at(pipeline, job)
        most = max(most, sum(1 for send in in_flight(pipeline, job) if send.claimed_at > learned))

    state = patiently(pipeline, job, watch)
    assert (state.outcomes, state.attempts) == ({"answered": 20}, 1)
    assert 0 < most <= 2  # a turn may take longer than a batch
    refused_once_known = [
        batch
        for batch in books.batches
        if batch["status"] == "failed" and float(str(batch["created"])) > learned_at(pipeline, job)
    ]
    assert refused_once_known == []
    assert books.lines_executed == 20


def learned_at(pipeline: Pipeline, job: jobs.Job) -> float:
    with pipeline.ledger.read() as db:
        told = [event.at for event in events.of_job(db, job.job_id) if event.event == "token limit learned"]
    return max(told, default=float("inf"))


def in_flight(pipeline: Pipeline, job: jobs.Job) -> list[Send]:
    with pipeline.ledger.read() as db:
        rows = [batch.batch_id for batch in batches.of_job(db, job.job_id) if batch.ended_at is None]
        return [send for batch_id in rows for send in sends.open_of_batch(db, batch_id)]


def test_a_batch_larger_than_the_limit_itself_goes_in_smaller_ones(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 20)
    job = planned(pipeline)
    limit = batches_of(pipeline, job)[0].input_tokens // 3
    books.order({"kind": "token_limit", "limit": limit, "times": None})
    submit_job(pipeline, job.job_id)
    state = patiently(pipeline, job)
    assert state.outcomes == {"answered": 20}
    assert books.lines_executed == 20


def test_a_budget_does_not_keep_what_is_in_flight_from_being_polled(paid: Callable[..., Pipeline]) -> None:
    pipeline = paid(max_requests=1)
    write_notes(pipeline, 2)
    job = dear(pipeline)
    tight = paid(max_requests=1, budget_job_usd=1.5 * batches_of(pipeline, job)[0].bound_usd)
    submit_job(tight, job.job_id)
    assert poll(tight, "openai").in_flight == 1


def patiently(pipeline: Pipeline, job: jobs.Job, watch: Callable[[], None] = lambda: None) -> JobStatus:
    """Takes turns to the end, without waiting where the pipeline would; `watch` is called after each."""
    for _ in range(2_000):
        with pipeline.ledger.begin() as db:
            db.exec_driver_sql("UPDATE batches SET wait_until = 0 WHERE wait_until IS NOT NULL")
        take_turn(pipeline, job.job_id)
        watch()
        if (state := status(pipeline, job.job_id)).final:
            return state
    raise AssertionError(f"not through: {status(pipeline, job.job_id)}")
