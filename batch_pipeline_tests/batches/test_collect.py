"""What a batch came to, whole, once, and accounted for to the last record."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from batch_pipeline.batches import points
from batch_pipeline.batches.collect import collect
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.turn import submit_job, take_turn
from batch_pipeline.errors import ProviderUnreachable
from batch_pipeline.ledger import events, jobs
from batch_pipeline.settings import Settings
from batch_pipeline.tasks import BatchTask
from batch_pipeline_tests.batches.chain import (
    Mood,
    accounted,
    answers,
    batches_of,
    mood,
    planned,
    query,
    run,
    write_notes,
)
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.processes import at_once


def attempts_of(pipeline: Pipeline, job: jobs.Job) -> list[jobs.Job]:
    with pipeline.ledger.read() as db:
        return jobs.attempts(db, job.job_id)


def ended(pipeline: Pipeline, job: jobs.Job) -> None:
    """Polls until every batch of the job has ended."""
    for _ in range(400):
        poll(pipeline, job.provider)
        if all(batch.ended_at for batch in batches_of(pipeline, job)):
            return
    raise AssertionError("the batches do not end")


def test_an_expired_batch_keeps_its_answers_and_only_the_rest_goes_again(pipeline: Pipeline, books: Books) -> None:
    books.order({"kind": "expire", "after": 90})
    write_notes(pipeline, 100)
    job = planned(pipeline)
    state = run(pipeline, job)
    assert (state.outcomes, state.attempts, state.requests) == ({"answered": 100}, 2, 110)
    assert books.lines_executed == 100
    assert [attempt.taken for attempt in attempts_of(pipeline, job)] == [{}, {"expired": 10}]
    assert query(pipeline, "SELECT outcome, count(*) FROM batch_results GROUP BY 1 ORDER BY 1") == [
        ("answered", 100),
        ("expired", 10),
    ]


def test_a_batch_with_nothing_but_an_error_file_has_an_outcome_with_its_code_for_each_row(
    pipeline: Pipeline, books: Books
) -> None:
    books.order(
        {"kind": "rows", "status": 400, "code": "context_length_exceeded", "message": "too long", "every": 4},
        {"kind": "rows", "status": 429, "code": "rate_limit_exceeded", "message": "too fast"},
    )
    write_notes(pipeline, 100)
    job = planned(pipeline)
    state = run(pipeline, job)
    assert [(batch.output_file_id, batch.error_file_id is None) for batch in batches_of(pipeline, job)] == [
        (None, False)
    ]
    assert (state.outcomes, state.attempts) == ({"answered": 75, "failed": 25}, 2)
    assert query(
        pipeline,
        "SELECT outcome, http_status, error_code, error_message, count(*) FROM batch_results "
        f"WHERE job_id = '{job.job_id}' GROUP BY ALL ORDER BY ALL",
    ) == [
        ("failed", 400, "context_length_exceeded", "too long", 25),
        ("retryable", 429, "rate_limit_exceeded", "too fast", 75),
    ]
    assert books.lines_executed == 175


def test_rows_that_fail_for_now_go_again_and_those_that_fail_for_good_do_not(pipeline: Pipeline, books: Books) -> None:
    books.order(
        {"kind": "rows", "status": 429, "code": "rate_limit_exceeded", "custom_id": "note-1"},
        {"kind": "rows", "status": 400, "code": "bad", "custom_id": "note-2", "times": None},
    )
    write_notes(pipeline, 4)
    state = run(pipeline, planned(pipeline))
    assert (state.outcomes, state.attempts) == ({"answered": 3, "failed": 1}, 2)
    assert planned(pipeline).given_up == 1


def test_rows_that_never_succeed_are_sent_so_often_and_no_more(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(max_attempts=3)
    books.order({"kind": "rows", "status": 500, "code": "server_error", "times": None})
    write_notes(pipeline, 5)
    job = planned(pipeline)
    state = run(pipeline, job)
    assert (state.state, state.outcomes, state.attempts) == ("failed", {"retryable": 5}, 3)
    assert books.lines_executed == 15
    again = planned(pipeline)
    assert (again.records, again.given_up) == (0, 5)


def test_prose_is_invalid_and_is_kept(make_pipeline: Callable[..., Pipeline], books: Books) -> None:
    pipeline = make_pipeline(max_attempts=2)
    books.order({"kind": "prose", "text": "Sure! It sounds glad.", "times": None})
    write_notes(pipeline, 3)
    state = run(pipeline, planned(pipeline))
    assert (state.outcomes, state.attempts) == ({"invalid": 3}, 2)
    assert query(pipeline, "SELECT DISTINCT response_text FROM batch_results") == [("Sure! It sounds glad.",)]


def test_a_truncated_answer_goes_again_with_twice_the_limit(pipeline: Pipeline, books: Books) -> None:
    books.order({"kind": "truncated"})
    write_notes(pipeline, 2)
    job = planned(pipeline)
    state = run(pipeline, job)
    assert (state.outcomes, state.attempts) == ({"answered": 2}, 2)
    last = attempts_of(pipeline, job)[-1]
    assert b'"max_completion_tokens":40' in pipeline.folder(last.job_id).requests(0).read_bytes()


def test_a_refusal_is_an_outcome_and_does_not_go_again(pipeline: Pipeline, books: Books) -> None:
    books.order({"kind": "refusal", "custom_id": "note-0"})
    write_notes(pipeline, 2)
    state = run(pipeline, planned(pipeline))
    assert (state.outcomes, state.attempts) == ({"answered": 1, "refused": 1}, 1)


def test_a_row_that_is_in_no_file_is_looked_for_again_before_it_is_missing(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(missing_recheck_seconds=0.0)
    books.order({"kind": "lines", "damage": "missing", "file": "output", "custom_id": "note-1"})
    write_notes(pipeline, 3)
    job = planned(pipeline)
    state = run(pipeline, job)
    assert (state.outcomes, state.attempts) == ({"answered": 3}, 2)
    with pipeline.ledger.read() as db:
        told = [event.event for event in events.of_job(db, job.job_id)]
    assert told.count("rows missing") == 1


def test_a_download_that_is_cut_off_is_not_used(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 5)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    ended(pipeline, job)
    books.order({"kind": "content_cut", "share": 0.6})
    with pytest.raises(ProviderUnreachable, match=r"cut off|reached"):
        collect(pipeline, job.job_id)
    assert run(pipeline, job).outcomes == {"answered": 5}
    assert books.lines_executed == 5


def test_a_file_that_is_gone_is_lost_and_nothing_is_sent_again(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 4)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    ended(pipeline, job)
    books.order(
        {"kind": "status", "on": "files.content", "status": 404, "message": "No such File object", "times": None}
    )
    state = run(pipeline, job)
    assert (state.outcomes, state.attempts) == ({"lost": 4}, 1)
    assert books.lines_executed == 4


def test_a_failed_validation_costs_the_lines_it_names_and_the_others_go_again(pipeline: Pipeline, books: Books) -> None:
    error = {
        "code": "invalid_request",
        "line": 2,
        "param": "body.messages",
        "message": "Messages parameter is required.",
    }
    books.order({"kind": "validation", "errors": [error]})
    write_notes(pipeline, 4)
    state = run(pipeline, planned(pipeline))
    assert (state.outcomes, state.attempts) == ({"answered": 3, "failed": 1}, 2)
    rows = query(pipeline, "SELECT error_code, error_message FROM batch_results WHERE outcome = 'failed'")
    assert rows == [("invalid_request", "Messages parameter is required.")]


def test_a_token_limit_waits_and_burns_no_attempt(pipeline: Pipeline, books: Books) -> None:
    books.order({"kind": "validation", "errors": [{"code": "token_limit_exceeded"}]})
    write_notes(pipeline, 3)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    for _ in range(400):
        poll(pipeline, "local")
        if batches_of(pipeline, job)[0].wait_reason:
            break
    assert "Enqueued token limit" in str(batches_of(pipeline, job)[0].wait_reason)
    with pipeline.ledger.begin() as db:
        db.exec_driver_sql("UPDATE batches SET wait_until = 0")
    state = run(pipeline, job)
    assert (state.outcomes, state.attempts) == ({"answered": 3}, 1)


def in_flight(pipeline: Pipeline) -> int:
    with pipeline.ledger.read() as db:
        return len(db.exec_driver_sql("SELECT * FROM inflight").all())


def test_the_last_of_a_jobs_batches_frees_what_all_held(
    make_pipeline: Callable[..., Pipeline], books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline(max_requests=2)
    write_notes(pipeline, 6)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    ended(pipeline, job)
    held: list[int] = []

    def look(point: str) -> None:
        if point == "collect.ledger_committed":
            held.append(in_flight(pipeline))

    monkeypatch.setattr(points, "hook", look)
    books.order({"kind": "content_cut", "share": 0.6})
    with pytest.raises(ProviderUnreachable):
        collect(pipeline, job.job_id)
    assert held == [6, 6]
    collect(pipeline, job.job_id)
    assert held == [6, 6, 0]


def test_a_batch_frees_its_own_where_others_are_not_through(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(max_requests=2)
    write_notes(pipeline, 6)
    job = planned(pipeline)
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 60, "times": 1})
    submit_job(pipeline, job.job_id)
    while sum(batch.ended_at is not None for batch in batches_of(pipeline, job)) < 2:
        poll(pipeline, job.provider)
    assert len(collect(pipeline, job.job_id).batches) == 2
    assert in_flight(pipeline) == 2


def test_two_processes_that_collect_the_same_batch_collect_it_once(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 20)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    ended(pipeline, job)
    assert at_once(2, partial(collect_one, pipeline.settings, job.job_id), pipeline.data_dir) == [None, None]
    assert query(pipeline, "SELECT count(*), count(DISTINCT record_id) FROM mood") == [(20, 20)]
    assert query(pipeline, "SELECT count(*), count(DISTINCT custom_id) FROM batch_results") == [(20, 20)]
    with pipeline.ledger.read() as db:
        told = [event.event for event in events.of_job(db, job.job_id)]
    assert told.count("collected") == 1
    assert books.lines_executed == 20


def collect_one(settings: Settings, job_id: str, _folder: Path, _number: int) -> None:
    pipeline = Pipeline(settings)
    collect(pipeline, job_id)
    pipeline.close()


def test_a_task_that_was_edited_meanwhile_changes_nothing(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    job = planned(pipeline)
    write_notes(pipeline, 0)
    assert run(pipeline, job).outcomes == {"answered": 2}
    assert set(answers(pipeline).values()) <= {"glad", "sad"}


def test_a_field_that_is_added_widens_the_table(pipeline: Pipeline) -> None:
    class Wider(Mood):
        """How a note sounds, and why."""

        reasons: list[str]

    write_notes(pipeline, 2)
    run(pipeline, planned(pipeline))
    wider = BatchTask(name="mood", records="FROM notes", prompt="{text}", answer=Wider, partitions=None)
    run(pipeline, planned(pipeline, wider, force=True))
    rows = query(pipeline, "SELECT count(*), count(reasons) FROM mood")
    assert rows == [(4, 2)]


def test_text_answers_are_kept_as_they_are(pipeline: Pipeline) -> None:
    task = BatchTask(
        name="reply", records="FROM notes", prompt="{text}", answer=str, endpoint="responses", partitions=None
    )
    write_notes(pipeline, 2)
    state = run(pipeline, planned(pipeline, task))
    assert state.outcomes == {"answered": 2}
    assert query(pipeline, "SELECT count(*) FROM reply WHERE length(text) > 0") == [(2,)]


def test_cost_is_what_the_books_say(make_pipeline: Callable[..., Pipeline], books: Books) -> None:
    pipeline = make_pipeline(OPENAI_API_KEY="k", OPENAI_BASE_URL=books.url)
    write_notes(pipeline, 10)
    job = planned(pipeline, provider="openai", model="gpt-6-luna")
    state = run(pipeline, job)
    (batch,) = books.batches
    price = pipeline.prices.price("openai", "gpt-6-luna")
    tokens = [batch[name] for name in ("input_tokens", "cached_tokens", "output_tokens")]
    assert state.cost_usd == pytest.approx(price.cost(*tokens))  # pyright: ignore[reportArgumentType] - counts of tokens
    assert 0 < state.cost_usd <= attempts_of(pipeline, job)[0].bound_usd
    (row,) = batches_of(pipeline, job)
    assert row.usage is not None
    assert row.usage["input_tokens"] == batch["input_tokens"]


def test_a_job_of_ten_turns_is_polled_with_one_listing_each(pipeline: Pipeline, books: Books) -> None:
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 0.5})
    write_notes(pipeline, 2)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    for _ in range(10):
        take_turn(pipeline, job.job_id)
    assert run(pipeline, job).outcomes == {"answered": 2}


DAMAGE = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.just("lines"),
            "damage": st.sampled_from(["garbled", "missing", "doubled", "foreign"]),
            "file": st.just("output"),
            "custom_id": st.sampled_from([f"note-{n}" for n in range(6)]),
        }
    )
    | st.fixed_dictionaries({"kind": st.just("lines"), "damage": st.just("shuffled"), "file": st.just("output")})
    | st.fixed_dictionaries(
        {
            "kind": st.just("rows"),
            "status": st.sampled_from([400, 404, 408, 409, 429, 500, 503]),
            "custom_id": st.sampled_from([f"note-{n}" for n in range(6)]),
        }
    )
    | st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["refusal", "truncated", "prose"]),
            "custom_id": st.sampled_from([f"note-{n}" for n in range(6)]),
        }
    )
    | st.fixed_dictionaries({"kind": st.just("expire"), "after": st.integers(0, 5)}),
    max_size=4,
)


@given(faults=DAMAGE)
@examples(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_back_every_record_has_one_outcome(
    make_pipeline: Callable[..., Pipeline], books: Books, faults: list[dict[str, object]]
) -> None:
    pipeline = make_pipeline(missing_recheck_seconds=0.0)
    books.order(*faults)
    write_notes(pipeline, 6)
    job = planned(pipeline, mood, force=True)
    with pipeline.ledger.begin() as db:
        db.exec_driver_sql("DELETE FROM given_up")
    state = run(pipeline, job)
    assert sum(state.outcomes.values()) == state.records == job.records
    accounted(pipeline, attempts_of(pipeline, job))
    with pipeline.warehouse.write() as connection:
        connection.execute("DELETE FROM mood")
        connection.execute("DELETE FROM batch_results")
        connection.execute("DELETE FROM batch_requests")
        connection.execute("DELETE FROM request_records")
    pipeline.close()


def test_what_was_given_up_and_is_answered_by_force_is_given_up_no_more(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"note-0": "the text"})
    job = planned(pipeline)
    books.order({"kind": "refusal"})
    assert run(pipeline, job).outcomes == {"refused": 1}
    assert run(pipeline, planned(pipeline, force=True)).outcomes == {"answered": 1}
    write_notes(pipeline, {"note-1": "the text"})
    again = planned(pipeline)
    assert (again.given_up, again.reused) == (0, 1)
