"""Orders that are kept first and planned later, by whoever comes."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.cancel import cancel
from batch_pipeline.batches.kept_orders import as_job, keep, kept_orders, order_of, plan_all_kept, plan_kept
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, abandon_dead_plans, job_of, plan, snapshot_of
from batch_pipeline.batches.points import reach
from batch_pipeline.batches.requests.selection import Selection, Which
from batch_pipeline.batches.rounds import take_round
from batch_pipeline.batches.standing.status import status
from batch_pipeline.batches.turn import take_turn
from batch_pipeline.ledger import events, jobs
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.settings import Settings
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.api.conftest import with_issues
from batch_pipeline_tests.batches.test_plan import inflight
from batch_pipeline_tests.books import Books

KIND = load_tasks().get("issue_kind")


@pytest.fixture
def issues(pipeline: Pipeline, tmp_path: Path) -> Pipeline:
    return with_issues(pipeline, tmp_path / "issues")


def kept(pipeline: Pipeline, key: str = "k", **order: object) -> Job:
    with pipeline.ledger.begin() as db:
        return keep(db, as_job(pipeline, Order(KIND, key=key, **order)))  # pyright: ignore[reportArgumentType] - fields of Order


def now(pipeline: Pipeline, job: Job) -> Job:
    with pipeline.ledger.read() as db:
        return jobs.get(db, job.job_id)


def aged(pipeline: Pipeline, seconds: float = 61.0) -> None:
    with pipeline.ledger.begin() as db:
        db.exec_driver_sql(f"UPDATE jobs SET created_at = created_at - {seconds}")


def test_it_is_planned_later_as_it_would_have_been_at_once(issues: Pipeline, books: Books) -> None:
    selection = Selection(repo="acme/orbit", limit=3, order=("newest",))
    job = kept(issues, selection=selection, metadata={"budget_usd": 1.0})
    assert status(issues, job.job_id).state == "planning"
    assert plan_kept(issues, job.job_id)
    planned = now(issues, job)
    assert (planned.job_id, planned.records, planned.selected) == (job.job_id, 3, 6)
    assert planned.metadata["budget_usd"] == 1.0
    assert not plan_kept(issues, job.job_id)
    assert plan(issues, Order(KIND, selection, key="k")).job_id == job.job_id
    assert books.batches == []


def test_a_repeated_order_is_the_same_job(issues: Pipeline) -> None:
    assert kept(issues).job_id == kept(issues).job_id
    assert len(kept_orders(issues)) == 1


def test_two_that_plan_it_at_the_same_moment_plan_it_once(issues: Pipeline) -> None:
    job = kept(issues)
    threads = [threading.Thread(target=plan_kept, args=(issues, job.job_id)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with issues.ledger.read() as db:
        told = [event.event for event in events.of_job(db, job.job_id)]
    assert told.count("planned") == 1


def test_a_process_that_dies_while_it_plans_leaves_the_order(issues: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(name: str) -> None:
        if name == "plan.file_renamed":
            raise Killed

    job = kept(issues)
    monkeypatch.setattr("batch_pipeline.batches.plan.reach", kill)
    with pytest.raises(Killed):
        plan_kept(issues, job.job_id)
    monkeypatch.setattr("batch_pipeline.batches.plan.reach", reach)
    assert inflight(issues) == 6
    abandon_dead_plans(issues)
    assert inflight(issues) == 0
    assert kept_orders(issues) == [job.job_id]
    take_turn(issues, job.job_id)
    assert now(issues, job).records == 6


def test_a_round_plans_what_was_left_and_sends_it(issues: Pipeline) -> None:
    job = kept(issues, selection=Selection(limit=1))
    take_round(issues)
    assert kept_orders(issues) == [job.job_id], "whoever has kept it is left to plan it for a while"
    aged(issues)
    take_round(issues)
    assert status(issues, job.job_id).state != "planning"
    assert kept_orders(issues) == []


def test_a_canary_goes_first(issues: Pipeline) -> None:
    job = kept(issues, canary=2)
    assert plan_kept(issues, job.job_id)
    planned = now(issues, job)
    assert planned.canary is not None
    with issues.ledger.read() as db:
        first = jobs.get(db, planned.canary)
    assert (first.records, first.metadata["canary_for"]) == (2, job.job_id)


def test_one_with_nothing_to_do_is_done_and_stays_known(issues: Pipeline) -> None:
    job = kept(issues, selection=Selection(repo="no/body"))
    assert plan_kept(issues, job.job_id)
    assert (status(issues, job.job_id).state, status(issues, job.job_id).records) == ("done", 0)
    assert kept(issues, selection=Selection(repo="no/body")).job_id == job.job_id
    assert not issues.folder(job.job_id).path.exists()


def test_one_that_can_not_be_planned_has_failed_with_the_reason(issues: Pipeline) -> None:
    job = kept(issues, selection=Selection(sql="SELECT record_id, CAST(title AS INTEGER) AS title FROM issues"))
    assert plan_kept(issues, job.job_id)
    found = status(issues, job.job_id)
    assert found.state == "failed"
    assert "body" in (found.error_message or "")
    assert inflight(issues) == 0


def test_one_that_is_cancelled_before_is_not_planned(issues: Pipeline) -> None:
    job = kept(issues)
    cancel(issues, job.job_id)
    assert plan_kept(issues, job.job_id)
    assert (status(issues, job.job_id).state, inflight(issues)) == ("cancelled", 0)


def test_what_goes_wrong_for_a_moment_is_tried_again(issues: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    job = kept(issues)

    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr("batch_pipeline.batches.files.JobFolder.write_plan", full)
        with pytest.raises(OSError, match="no space"):
            plan_kept(issues, job.job_id)
        aged(issues)
        assert plan_all_kept(issues, time.monotonic() + 60) == []
    assert (kept_orders(issues), inflight(issues)) == ([job.job_id], 0)
    assert plan_all_kept(issues, time.monotonic() + 60) == [job.job_id]


@settings(max_examples=30)
@given(
    which=st.sampled_from(("new", "missing", "outdated", "all")),
    force=st.booleans(),
    ids=st.none() | st.lists(st.text(max_size=5), max_size=3).map(tuple),
    order=st.none() | st.just(("age", "label:bug")),
    limit=st.none() | st.integers(0, 9),
    night=st.none() | st.dates(date(2026, 1, 1)),
    sql=st.none() | st.text(max_size=9),
    mode=st.sampled_from(("batch", "realtime")),
    key=st.text("ab|:", min_size=1),
)
def test_what_is_kept_is_the_order_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, key: str, which: Which, **asked: object
) -> None:
    narrowed = {name: asked[name] for name in ("ids", "order", "limit", "night", "sql")}
    order = Order(KIND, Selection(which=which, **narrowed), key=key, force=asked["force"], mode=asked["mode"])  # pyright: ignore[reportArgumentType] - as drawn
    pipeline = Pipeline(Settings.model_validate({"data_dir": tmp_path_factory.getbasetemp()}))
    job = job_of(order, snapshot_of(pipeline, order))
    beside = {"key": key, "canary": None}
    again = order_of(replace(job, metadata={**job.metadata, jobs.ORDER: beside}))
    assert job_of(again, snapshot_of(pipeline, again)).key == job.key
    assert again.selection == order.selection
    assert (again.force, again.mode) == (order.force, order.mode)
