"""A batch that was submitted: waited for, interrupted, cancelled, tried again, and never bought twice."""

from __future__ import annotations

import logging
from datetime import timedelta

import orjson
import pytest

from batch_pipeline import Batch
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import Disabled, ProviderUnreachable, UsageError
from batch_pipeline.local_server import RunningServer
from batch_pipeline.notebook import Run, RunStatus
from batch_pipeline.settings import Settings
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.notebook.conftest import MakeBatch, Mood, rows_in

SOON = 0.02
"""Seconds between two looks."""
SLOW: dict[str, object] = {"kind": "slow", "stage": "validating", "seconds": 60}


def done(run: Run) -> Run:
    return run.wait(30, interval=SOON)


def answered(run: Run) -> list[str]:
    return [str(row["record_id"]) for row in rows_in(run.answers())]


def test_every_item_gets_its_answer(make_batch: MakeBatch, books: Books) -> None:
    run = done(make_batch().submit())
    assert run.is_success
    assert str(run.status()) == "notes: done; 3 items, 3 answered; $0"
    assert [result.record_id for result in run.results()] == ["0", "1", "2"]
    assert all(isinstance(result.parsed, Mood) and result.attempts == 1 for result in run.results())
    assert run.failures() == []
    assert books.lines_executed == 3


def test_the_same_program_again_finds_its_job_and_buys_nothing(make_batch: MakeBatch, books: Books) -> None:
    first = done(make_batch().submit())
    again = done(make_batch().submit())
    assert again.jobs == first.jobs
    assert again.answers().equals(first.answers())
    assert len(books.batches) == 1


def test_items_that_are_added_later_are_a_further_job(make_batch: MakeBatch, books: Books) -> None:
    first = done(make_batch(3).submit())
    both = done(make_batch(5).submit())
    assert both.jobs[0] == first.jobs[0]
    assert [job.records for job in both.status().jobs] == [3, 2]
    assert len(both.answers()) == 5
    assert books.lines_executed == 5


def test_fewer_items_are_answered_by_the_job_that_there_is(make_batch: MakeBatch, books: Books) -> None:
    done(make_batch(3).submit())
    fewer = make_batch(1).submit(wait=True)
    assert answered(fewer) == ["0"]
    assert books.lines_executed == 3


def test_an_item_that_was_changed_is_asked_anew_and_changed_back_is_not(make_batch: MakeBatch, books: Books) -> None:
    done(make_batch(1).submit())
    for text, paid in (("another note", 2), ("note 0", 2)):
        run = done(make_batch(0).add(text, record_id="0").submit())
        (result,) = run.results()
        assert result.is_success
        assert books.lines_executed == paid
    assert result.attempts == 0
    assert result.cost_usd == 0


@pytest.mark.parametrize(
    ("change", "bought"),
    [({"system": "Is it glad?"}, 4), ({"parameters": {"temperature": 0.5}}, 4), ({"max_output_tokens": 40}, 2)],
)
def test_another_question_is_asked_and_another_limit_is_not(
    make_batch: MakeBatch, books: Books, change: dict[str, object], bought: int
) -> None:
    done(make_batch(2).submit())
    run = done(make_batch(2, **change).submit())
    assert run.is_success
    assert books.lines_executed == bought


def test_items_with_parameters_of_their_own_are_jobs_of_one_run(make_batch: MakeBatch) -> None:
    batch = make_batch(2, parameters={"temperature": 0.1, "seed": 1})
    batch.add("note 7", record_id=7, parameters={"temperature": 0.9}).add("note 8", record_id=8, system="Say.")
    run = done(batch.submit())
    assert len(run.jobs) == 3
    assert [result.record_id for result in run.results()] == ["0", "1", "7", "8"]
    lines = [line for folder in run.files for line in (folder / "requests-0000.jsonl").read_bytes().splitlines()]
    bodies = {orjson.loads(line)["custom_id"]: orjson.loads(line)["body"] for line in lines}
    assert [(body["temperature"], body["seed"]) for body in bodies.values()] == [(0.1, 1)] * 2 + [(0.9, 1), (0.1, 1)]
    assert bodies["8"]["messages"][0] == {"role": "system", "content": "Say."}
    assert len(bodies["0"]["messages"]) == 1


def test_too_many_kinds_of_items_are_refused(make_batch: MakeBatch, books: Books) -> None:
    batch = make_batch(0)
    for seed in range(51):
        batch.add("note", record_id=seed, parameters={"seed": seed})
    with pytest.raises(UsageError, match="51 different models, instructions or parameters"):
        batch.submit()
    assert books.batches == []


def test_an_interrupt_stops_the_waiting_and_nothing_else(
    make_batch: MakeBatch, books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupt(_now: RunStatus) -> None:
        raise KeyboardInterrupt

    run = make_batch().submit()
    with pytest.raises(KeyboardInterrupt):
        run.wait(on_progress=interrupt, interval=SOON)
    assert "Stopped waiting for `notes`; the work goes on. Come back with Batch.resume('notes')." in caplog.text
    assert done(run).is_success
    assert len(books.batches) == 1


def test_a_time_out_leaves_the_work_going(make_batch: MakeBatch, books: Books) -> None:
    books.order(SLOW)
    run = make_batch().submit()
    with pytest.raises(TimeoutError, match=r"`notes` is not done after 0\.2 s; the work goes on"):
        run.wait(0.2, interval=SOON)
    assert run.status().state == "in_flight"
    assert {result.outcome for result in run.results()} == {"pending"}
    assert run.failures() == []
    assert run.answers().empty
    run.cancel()


def test_what_is_cancelled_keeps_its_answers_and_may_go_again(make_batch: MakeBatch, books: Books) -> None:
    books.order(SLOW | {"filename": "*-0001-*"})
    seen: list[RunStatus] = []
    run = make_batch(2, items_per_batch=1).submit()
    with pytest.raises(TimeoutError):
        run.wait(0.3, on_progress=seen.append, interval=SOON)
    run = done(run.cancel())
    assert seen[-1].answered == 1
    assert run.status().state == "cancelled"
    assert [failure.record_id for failure in run.failures()] == ["1"]
    assert answered(run) == ["0"]
    assert make_batch(2, items_per_batch=1).submit().status().state == "cancelled"
    assert done(run.retry()).is_success


@pytest.mark.parametrize("limit", [0.2, timedelta(seconds=0.2)])
def test_a_time_limit_cancels_what_is_not_done(make_batch: MakeBatch, books: Books, limit: float | timedelta) -> None:
    books.order(SLOW | {"filename": "*-0001-*"})
    run = make_batch(2, items_per_batch=1, time_limit=limit).submit()
    run.wait(30, interval=SOON)
    assert run.status().state == "cancelled"
    assert answered(run) == ["0"]
    assert done(run.retry()).is_success


def test_no_more_batches_are_in_flight_than_wanted(make_batch: MakeBatch, books: Books) -> None:
    seen: list[int] = []

    def look(now: RunStatus) -> None:
        seen.append(sum(batch.state in ("sending", "submitted") for job in now.jobs for batch in job.batches))

    run = make_batch(4, items_per_batch=1, max_batches_in_flight=2).submit()
    look(run.status())
    assert "capacity: 2 of at most 2 batches of notes are in flight" in (run.status().waits_for or "")
    assert run.wait(30, on_progress=look, interval=SOON).is_success
    assert max(seen) == 2
    assert len(books.batches) == 4


def test_what_failed_says_why_and_may_go_again(make_batch: MakeBatch, books: Books) -> None:
    books.order({"kind": "refusal", "custom_id": "1"}, {"kind": "rows", "status": 400, "custom_id": "2", "times": 1})
    run = done(make_batch().submit())
    assert not run.is_success
    refused, failed = run.failures()
    assert (refused.record_id, refused.outcome, refused.error_code) == ("1", "refused", "refusal")
    assert (failed.record_id, failed.outcome) == ("2", "failed")
    assert failed.error
    assert run.status().outcomes == {"answered": 1, "failed": 1, "refused": 1}
    again = done(run.retry())
    assert again.is_success
    assert {result.record_id: result.attempts for result in again.results()} == {"0": 1, "1": 2, "2": 2}
    assert len(again.files) == 2


def test_a_request_that_was_given_up_elsewhere_says_so(make_batch: MakeBatch, books: Books) -> None:
    books.order({"kind": "refusal", "times": None})
    done(make_batch(1, answer=str).submit())
    other = done(make_batch(1, name="other_notes", answer=str).submit())
    (failure,) = other.failures()
    assert (failure.outcome, failure.error_code) == ("failed", "given_up")
    assert other.status().state == "failed"
    assert books.lines_executed == 1


def test_a_dry_run_leaves_nothing(make_batch: MakeBatch, books: Books, settings: Settings) -> None:
    done(make_batch(1).submit())
    plan = make_batch(3).add("note 0", record_id="same").submit(dry_run=True)
    assert (plan.items, plan.new, plan.requests, plan.reused, plan.batches) == (4, 3, 2, 1, 1)
    assert plan.saved_usd == pytest.approx(plan.realtime_usd / 2)
    assert plan.worst_cost_usd == 0
    assert len(books.batches) == 1
    pipeline = Pipeline(settings)
    with pipeline.warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM python_items").fetchall() == [(1,)]
    pipeline.close()
    assert not list(settings.data_dir.glob("*.half"))


def test_nothing_is_planned_where_it_is_switched_off(make_batch: MakeBatch, settings: Settings, books: Books) -> None:
    batch = make_batch(settings=settings.model_copy(update={"enabled": False}))
    for dry_run in (False, True):
        with pytest.raises(Disabled):
            batch.submit(dry_run=dry_run)
    assert books.batches == []


def test_a_run_is_taken_up_by_name(make_batch: MakeBatch, settings: Settings, books: Books) -> None:
    make_batch(2).submit()
    make_batch(0).add("further", record_id="z", parameters={"seed": 2}).submit()
    with Batch.resume("notes", Mood, settings=settings) as run:
        assert done(run).is_success
        assert [result.record_id for result in run.results()] == ["0", "1", "z"]
        assert isinstance(run.results()[0].parsed, Mood)
    (result, *_) = Batch.resume("notes", settings=settings).results()
    assert isinstance(result.parsed, dict)
    with pytest.raises(UsageError, match=r"No batch `moods` was submitted\. There are: notes\."):
        Batch.resume("moods", settings=settings)
    assert books.lines_executed == 3


def test_who_is_not_there_is_said_and_the_program_goes_on_later(
    make_batch: MakeBatch, settings: Settings, books: Books
) -> None:
    away = settings.model_copy(update={"local_url": "http://127.0.0.1:9/v1"})
    with pytest.raises(ProviderUnreachable):
        make_batch(settings=away).submit()
    assert done(make_batch().submit()).is_success
    assert len(books.batches) == 1


@pytest.fixture
def paid(settings: Settings, server: RunningServer) -> Settings:
    """Where a request costs money."""
    openai = {"OPENAI_API_KEY": "sk-made-up", "OPENAI_BASE_URL": server.url, "provider": "openai"}
    return Settings.model_validate(settings.model_dump(exclude_unset=True) | openai)


def test_no_more_is_spent_than_the_budget_over_all_jobs(
    make_batch: MakeBatch, paid: Settings, books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    def program(budget_usd: float) -> Batch:
        batch = make_batch(2, settings=paid, budget_usd=budget_usd)
        return batch.add("note 9", record_id=9, parameters={"seed": 9})

    worst = program(1.0).submit(dry_run=True).worst_cost_usd
    assert worst > 0
    run = program(worst * 0.9).submit()
    run.wait(30, interval=SOON)
    assert run.status().state == "planned"
    assert "has come to its budget" in caplog.text
    assert books.batches == []
    again = done(program(worst * 1.001).submit())
    assert again.is_success
    cost = again.cost()
    assert 0 < cost.paid_usd == pytest.approx(cost.batch_usd)
    assert cost.paid_usd <= worst
    assert cost.saved_usd == pytest.approx(cost.realtime_usd / 2)
    assert sum(result.cost_usd for result in again.results()) == pytest.approx(cost.paid_usd)
    assert cost.per_answer_usd == pytest.approx(cost.paid_usd / 3)


def test_progress_is_told_after_each_look_and_logged(make_batch: MakeBatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "batch_pipeline")
    seen: list[RunStatus] = []
    make_batch().submit().wait(30, on_progress=seen.append, interval=SOON)
    assert seen[-1].final
    assert (seen[-1].completed, seen[-1].total) == (3, 3)
    assert "notes: completed 3/3 (done, $0)" in caplog.text


def test_items_are_answered_at_once_where_that_is_asked_for(make_batch: MakeBatch) -> None:
    run = done(make_batch(2, mode="realtime").submit())
    assert (run.is_success, run.status().jobs[0].mode) == (True, "realtime")


def test_first_items_go_first_and_are_paid_and_counted_once(make_batch: MakeBatch, books: Books) -> None:
    run = done(make_batch(4, canary=1).submit())
    assert (run.status().outcomes, len(run.answers()), books.lines_executed) == ({"answered": 4}, 4, 4)
    assert (len(run.jobs), len(run.status().canaries), run.cost().answered) == (1, 1, 4)


def test_a_bad_canary_stops_the_waiting(make_batch: MakeBatch, books: Books) -> None:
    books.order({"kind": "rows", "status": 400, "custom_id": "*"})
    run = done(make_batch(3, canary=1, name="bad").submit())
    assert "canary" in (run.status().waits_for or "")
    assert len(books.batches) == 1


def test_whoever_resumes_keeps_to_the_time_limit(make_batch: MakeBatch, settings: Settings, books: Books) -> None:
    books.order(SLOW)
    make_batch(1, time_limit=0.2).submit().close()
    run = done(Batch.resume("notes", settings=settings))
    assert run.status().state == "cancelled"
