"""A ledger is lost while others go on: what it forgot is not planned and bought again."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from batch_pipeline.batches import points
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import status
from batch_pipeline.batches.submit import create
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.errors import LedgerReplaced, PipelineError
from batch_pipeline.ledger import batches, budgets
from batch_pipeline_tests.batches.chain import planned, run, write_notes
from batch_pipeline_tests.books import Books


@pytest.fixture(autouse=True)
def _no_hook() -> Generator[None]:
    yield
    points.hook = None


def remove_ledger(pipeline: Pipeline) -> None:
    """Whoever has it open goes on in the file that is gone."""
    for path in pipeline.data_dir.glob("ledger.db*"):
        path.unlink()


def submitted(pipeline: Pipeline, job_id: str) -> None:
    assert submit_job(pipeline, job_id).created


def at(point: str, step: Callable[[], None]) -> None:
    """Does something once, when a process comes to the point."""

    def hook(reached: str) -> None:
        if reached == point:
            points.hook = None
            step()

    points.hook = hook


def copy_of(pipeline: Pipeline) -> Path:
    """The ledger as it is now."""
    copy = pipeline.data_dir / "copy.db"
    with closing(sqlite3.connect(pipeline.data_dir / "ledger.db")) as here, closing(sqlite3.connect(copy)) as there:
        here.backup(there)
    return copy


def replace_ledger(pipeline: Pipeline, copy: Path) -> None:
    """Whoever has it open goes on in the file that is gone."""
    remove_ledger(pipeline)
    shutil.copy(copy, pipeline.data_dir / "ledger.db")


def test_a_job_that_is_planned_again_after_its_ledger_was_deleted_is_found(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    """The chaos run found it: planned before anything was recovered, it was bought a second time."""
    before = make_pipeline()
    write_notes(before, 3)
    job = planned(before, key="nightly")
    submit_job(before, job.job_id)
    remove_ledger(before)
    after = make_pipeline()
    assert planned(after, key="nightly").job_id == job.job_id
    assert run(after, job).outcomes == {"answered": 3}
    assert books.lines_executed == 3


def test_a_job_under_another_key_waits_for_what_was_in_flight_before_the_ledger_was_deleted(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    before = make_pipeline()
    write_notes(before, 3)
    job = planned(before, key="nightly")
    submit_job(before, job.job_id)
    remove_ledger(before)
    after = make_pipeline()
    again = planned(after, key="by hand")
    assert again.waiting == 3
    assert run(after, again).outcomes == {"answered": 3}
    assert books.lines_executed == 3


def test_a_submitter_whose_ledger_was_removed_stops_when_its_job_was_planned_anew(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    before = make_pipeline()
    write_notes(before, 3)
    job = planned(before, key="nightly")
    remove_ledger(before)
    after = make_pipeline()
    anew = planned(after, key="nightly")
    assert anew.job_id != job.job_id
    with pytest.raises(LedgerReplaced, match="Run it again"):
        submit_job(before, job.job_id)
    assert books.batches == []
    assert run(after, anew).outcomes == {"answered": 3}
    assert books.lines_executed == 3


@pytest.mark.parametrize("point", ["claim.recorded", "upload.replied", "send.marker_synced", "send.posted_recorded"])
def test_a_job_that_is_planned_anew_while_its_submitter_goes_on_without_ledger_is_bought_once(
    make_pipeline: Callable[..., Pipeline], books: Books, point: str
) -> None:
    before, after = make_pipeline(), make_pipeline()
    write_notes(before, 3)
    job = planned(before, key="nightly")

    def plan_anew() -> None:
        remove_ledger(before)
        planned(after, key="nightly")

    at(point, plan_anew)
    with suppress(PipelineError):
        submit_job(before, job.job_id)
    assert run(after, planned(after, key="nightly")).outcomes == {"answered": 3}
    assert books.lines_executed == 3


def test_a_plan_is_given_up_when_something_is_sent_from_another_ledger_meanwhile(
    make_pipeline: Callable[..., Pipeline], books: Books, tmp_path: Path
) -> None:
    ours, theirs = make_pipeline(), make_pipeline(ledger_url=f"sqlite:///{tmp_path / 'theirs.db'}")
    write_notes(ours, 3)
    job = planned(theirs, key="nightly")
    at("plan.inflight_taken", lambda: submitted(theirs, job.job_id))
    with pytest.raises(PipelineError, match="another ledger"):
        planned(ours, key="nightly")
    assert planned(ours, key="nightly").job_id == job.job_id
    assert run(ours, job).outcomes == {"answered": 3}
    assert books.lines_executed == 3


def test_a_job_whose_key_was_taken_meanwhile_is_collected_and_nothing_more_of_it_is_sent(
    make_pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    """Two ledgers in which the same was planned at once: what stays possible, and must stop nobody."""
    ours, theirs = make_pipeline(), make_pipeline(ledger_url=f"sqlite:///{tmp_path / 'theirs.db'}")
    write_notes(ours, 3)
    mine, other = planned(ours, key="nightly"), planned(theirs, key="nightly")
    submitted(theirs, other.job_id)
    assert run(ours, mine).outcomes == {"answered": 3}
    assert status(ours, other.job_id).batches[0].remote_id is not None


@pytest.mark.parametrize(
    "point", ["claim.recorded", "upload.recorded", "send.marker_synced", "send.posted_recorded", "send.replied"]
)
@pytest.mark.parametrize("reply", ["came", "lost"])
def test_a_ledger_that_is_replaced_by_its_older_copy_under_its_submitter_sends_nothing_twice(
    make_pipeline: Callable[..., Pipeline], books: Books, point: str, reply: str
) -> None:
    """The copy is of before the second batch was claimed; all three are known again, one is adopted."""
    before, after = make_pipeline(max_requests=1), make_pipeline(max_requests=1)
    write_notes(before, 3)
    job = planned(before, key="nightly")
    with before.ledger.read() as db:
        first = batches.of_job(db, job.job_id)[0].batch_id
    assert create(before, before.provider("local"), first) is None
    copy = copy_of(before)
    if reply == "lost":
        books.order({"kind": "reply_lost", "on": "batches.create", "times": 2})
    at(point, lambda: replace_ledger(before, copy))
    with suppress(PipelineError):
        submit_job(before, job.job_id)
    with suppress(PipelineError):
        submit_job(before, job.job_id)
    assert planned(after, key="nightly").job_id == job.job_id
    assert run(after, job).outcomes == {"answered": 3}
    assert (len(books.paid), books.lines_executed) == (3, 3)


@pytest.mark.parametrize("loss", ["removed", "replaced"])
def test_what_was_spent_this_month_is_known_to_the_ledger_that_took_the_place(
    make_pipeline: Callable[..., Pipeline], books: Books, loss: str
) -> None:
    """One job is collected, another in flight: neither counts for nothing in the next admission."""

    def make(**settings: object) -> Pipeline:
        return make_pipeline(OPENAI_API_KEY="k", OPENAI_BASE_URL=books.url, **settings)

    before = make()
    before.ledger.close()
    with before.ledger.begin():
        pass
    copy = copy_of(before)
    write_notes(before, 3)
    cost = run(before, planned(before, provider="openai")).cost_usd
    write_notes(before, 6)
    second = planned(before, provider="openai")
    submit_job(before, second.job_id)
    with before.ledger.read() as db:
        spent = budgets.spent_between(db, 0.0, 1e12)
    assert spent == pytest.approx(cost + second.bound_usd)
    if loss == "removed":
        remove_ledger(before)
    else:
        replace_ledger(before, copy)
    after = make(budget_month_usd=spent)
    write_notes(after, 9)
    third = planned(after, provider="openai")
    assert third.requests == 3
    (why,) = submit_job(after, third.job_id).not_yet.values()
    assert "budget: this month may spend" in why
    assert run(after, second).outcomes == {"answered": 3}
    with after.ledger.read() as db:
        assert budgets.spent_between(db, 0.0, 1e12) >= cost
    assert books.lines_executed == 6


def test_two_ledgers_that_send_under_one_pipeline_id_send_each_request_once(
    make_pipeline: Callable[..., Pipeline], books: Books, tmp_path: Path
) -> None:
    """Both plan and submit in turns; each settles and adopts what the other sent before it sends anything itself."""
    ours = make_pipeline(max_requests=1)
    theirs = make_pipeline(max_requests=1, ledger_url=f"sqlite:///{tmp_path / 'theirs.db'}")
    assert ours.pipeline_id == theirs.pipeline_id
    write_notes(ours, 4)
    job = planned(ours, key="nightly")
    with ours.ledger.read() as db:
        first = batches.of_job(db, job.job_id)[0].batch_id
    create(ours, ours.provider("local"), first)
    assert planned(theirs, key="nightly").job_id == job.job_id
    books.order({"kind": "reply_lost", "on": "batches.create", "times": 3})
    for pipeline in (theirs, ours, theirs, ours, theirs):
        with suppress(PipelineError):
            submit_job(pipeline, job.job_id)
    for pipeline in (ours, theirs):
        assert run(pipeline, job).outcomes == {"answered": 4}
    assert (len(books.paid), books.lines_executed) == (4, 4)
