"""Notices: sent once each, sent again until they arrive, and never in anybody's way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator

import pytest
from sqlalchemy import update

from batch_pipeline.batches.cancel import cancel
from batch_pipeline.batches.kept_orders import as_job, keep, plan_kept
from batch_pipeline.batches.notices import notify, send_due_notices
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.turn import take_turn
from batch_pipeline.ledger import events
from batch_pipeline.ledger.tables import batches, notices, sends
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.batches.chain import planned, run, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.receiver import Receiver, receiver

SECRET = "/services/T000/B000/do-not-tell"


@pytest.fixture
def told() -> Generator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def noticing(make_pipeline: Callable[..., Pipeline], told: Receiver) -> Pipeline:
    """A pipeline that tells, and has begun to."""
    made = make_pipeline(notice_url=told.url + SECRET)
    send_due_notices(made)
    return made


def again_now(pipeline: Pipeline) -> None:
    """Lets the wait of every notice be over."""
    with pipeline.ledger.begin() as db:
        db.execute(update(notices).where(notices.c.next_at.is_not(None)).values(next_at=0.0))


def test_a_job_that_is_done_is_told_once(noticing: Pipeline, told: Receiver) -> None:
    write_notes(noticing, 3)
    job = planned(noticing)
    run(noticing, job)
    send_due_notices(noticing)
    send_due_notices(noticing)
    (notice,) = told.all()
    assert notice.path == SECRET
    assert notice.json["text"].startswith(f"Job {job.job_id} (mood) is done: 3 answered")
    assert notice.json["kind"] == "done"
    assert notice.json["job_id"] == job.job_id
    assert notice.json["outcomes"] == {"answered": 3}


def test_what_happened_before_somebody_wanted_notices_is_not_told(
    pipeline: Pipeline, make_pipeline: Callable[..., Pipeline], told: Receiver
) -> None:
    write_notes(pipeline, 1)
    run(pipeline, planned(pipeline))
    assert send_due_notices(make_pipeline(notice_url=told.url)) == 0
    assert told.all() == []


def test_a_job_without_an_answer_is_told_as_failed(noticing: Pipeline, told: Receiver, books: Books) -> None:
    write_notes(noticing, 2)
    books.order({"kind": "rows", "status": 400})
    run(noticing, planned(noticing))
    (notice,) = told.all()
    assert notice.json["kind"] == "failed"
    assert "is failed: 2 failed" in notice.json["text"]


def test_a_cancelled_job_is_told(noticing: Pipeline, told: Receiver) -> None:
    write_notes(noticing, 1)
    job = planned(noticing)
    cancel(noticing, job.job_id)
    take_turn(noticing, job.job_id)
    assert [notice.json["kind"] for notice in told.all()] == ["cancelled"]


@pytest.mark.parametrize(("wait_kind", "kind"), [("budget", "over budget"), ("stopped", "canary bad")])
def test_what_keeps_a_job_from_being_sent_is_told_once_for_each_budget(
    noticing: Pipeline, told: Receiver, wait_kind: str, kind: str
) -> None:
    write_notes(noticing, 1)
    job = planned(noticing)
    with noticing.ledger.begin() as db:
        db.execute(update(batches).values(wait_kind=wait_kind, wait_reason="an answer said: abracadabra"))
    send_due_notices(noticing)
    send_due_notices(noticing)
    (notice,) = told.all()
    assert notice.json["kind"] == kind
    assert notice.json["job_id"] == job.job_id
    assert ("abracadabra" in notice.json["text"]) == (wait_kind == "budget")


def test_a_held_batch_is_told_with_the_way_out(noticing: Pipeline, told: Receiver, books: Books) -> None:
    write_notes(noticing, 1)
    job = planned(noticing)
    books.order({"kind": "reply_lost", "on": "batches.create"})
    take_turn(noticing, job.job_id)
    with noticing.ledger.begin() as db:
        db.execute(update(sends).values(held="nobody knows", remote_id=None))
    send_due_notices(noticing)
    (notice,) = told.all()
    assert notice.json["kind"] == "held"
    assert f"batch-pipeline resolve {job.job_id}-0000" in notice.json["text"]


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_did_not_arrive_goes_again_after_a_wait(noticing: Pipeline, told: Receiver, status: int) -> None:
    told.statuses.append(status)
    assert notify(noticing, "Run 7 has failed.", key="run|7")
    assert send_due_notices(noticing) == 0
    assert send_due_notices(noticing) == 0, "its wait is not over"
    again_now(noticing)
    assert send_due_notices(noticing) == 1
    again_now(noticing)
    assert send_due_notices(noticing) == 0
    assert [notice.json["text"] for notice in told.all()] == ["Run 7 has failed."] * 2


def test_nobody_there_costs_no_more_than_one_try(make_pipeline: Callable[..., Pipeline]) -> None:
    alone = make_pipeline(notice_url="http://127.0.0.1:9" + SECRET)
    for number in range(3):
        notify(alone, f"Number {number}.")
    assert send_due_notices(alone) == 0
    with alone.ledger.read() as db:
        assert sorted(row.tries for row in db.execute(notices.select())) == [0, 0, 1]


def test_it_is_given_up_in_the_end(make_pipeline: Callable[..., Pipeline]) -> None:
    alone = make_pipeline(notice_url="http://127.0.0.1:9")
    notify(alone, "Hello.")
    for _ in range(20):
        again_now(alone)
        send_due_notices(alone)
    with alone.ledger.read() as db:
        (row,) = db.execute(notices.select())
    assert (row.tries, row.next_at, row.sent_at) == (12, None, None)


def test_the_address_is_in_no_line_of_the_log(
    noticing: Pipeline, told: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told.statuses.append(500)
    notify(noticing, "Hello.")
    send_due_notices(noticing)
    again_now(noticing)
    send_due_notices(noticing)
    assert "did not arrive: 500" in caplog.text
    assert "do-not-tell" not in caplog.text


def test_the_same_is_noted_once_and_nothing_where_nobody_wants_it(noticing: Pipeline, pipeline: Pipeline) -> None:
    assert notify(noticing, "One.", key="k")
    assert not notify(noticing, "Two.", key="k")
    assert not notify(pipeline, "Three.")


def test_a_text_can_call_nobody(noticing: Pipeline, told: Receiver) -> None:
    notify(noticing, "<!channel> a & b")
    send_due_notices(noticing)
    assert told.next().json["text"] == "&lt;!channel&gt; a &amp; b"


def test_a_batch_that_exists_twice_is_told(noticing: Pipeline, told: Receiver) -> None:
    write_notes(noticing, 1)
    job = planned(noticing)
    with noticing.ledger.begin() as db:
        events.record(db, "doubled", job.job_id, f"{job.job_id}-0000", remote_id="batch_2")
    send_due_notices(noticing)
    send_due_notices(noticing)
    (notice,) = told.all()
    assert (notice.json["kind"], notice.json["job_id"]) == ("doubled", job.job_id)
    assert "batch_2 is cancelled" in notice.json["text"]


def test_an_order_that_had_nothing_to_do_is_no_news_and_one_that_can_not_be_planned_is(
    noticing: Pipeline, told: Receiver
) -> None:
    kind = load_tasks().get("issue_kind")
    wrong = Selection(sql="SELECT record_id FROM issues")
    for order in (Order(kind, key="nothing"), Order(kind, wrong, key="wrong")):
        with noticing.ledger.begin() as db:
            job = keep(db, as_job(noticing, order))
        plan_kept(noticing, job.job_id)
    send_due_notices(noticing)
    (notice,) = told.all()
    assert (notice.json["kind"], notice.json["job_id"]) == ("failed", job.job_id)
