"""What the monitor asks for, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pytest

from batch_pipeline.automation import tick as tick_module
from batch_pipeline.automation.monitor import AskedFor, MonitorCursor, Watched, forget_what_came_on, ready, wanted_runs
from batch_pipeline.batches.plan import Order, plan
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing import due as due_module
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.project import REPOS, Project, cell, ephemeral

FIRST, SECOND = (cell(repo) for repo in REPOS)
SHELVES = dg.StaticPartitionsDefinition(["a", "b", "c"])
WATCHED = {"mood": Watched("mood", SHELVES, {"submission": (), "results": ()})}

MakeProject = Callable[..., Project]


def job(name: str, shelf: str | None = None) -> Job:
    return Job(
        job_id=name,
        key=name,
        root_job_id=name,
        task="mood",
        provider="local",
        model="m",
        snapshot="{}",
        partition_key=shelf,
        metadata={"asset": "mood/submission", "run_id": "run-1"},
    )


def test_a_job_that_a_run_is_at_work_on_is_left_alone() -> None:
    due = [job("one"), job("two")]
    assert ready(due, MonitorCursor(), {"one"}, 5, now=0) == [due[1]]
    assert ready(due, MonitorCursor(), {"run-1"}, 5, now=0) == []


def test_what_was_asked_for_in_vain_waits_twice_as_long_each_time() -> None:
    cursor = MonitorCursor(asked={"one": AskedFor(times=3, at=100, so_far=0)})
    assert ready([job("one")], cursor, set(), 5, now=139) == []
    assert ready([job("one")], cursor, set(), 5, now=140) == [job("one")]


def test_what_came_on_is_forgotten_and_what_did_not_is_remembered() -> None:
    asked = {name: AskedFor(times=1, at=0, so_far=2) for name in ("stuck", "came on", "done")}
    cursor = MonitorCursor(asked=asked)
    forget_what_came_on(cursor, {"stuck": 2, "came on": 3})
    assert list(cursor.asked) == ["stuck"]


def test_the_first_run_is_wide_and_the_next_ones_are_of_one_cell() -> None:
    due = [job("one", "a"), job("two", "b"), job("three", "c")]
    cursor = MonitorCursor(asked={"two": AskedFor(times=1, at=0, so_far=0)})
    with ephemeral() as instance:
        runs = list(wanted_runs("results", due, WATCHED, cursor, instance))
    spans = [(run.cells and run.cells.start, run.cells and run.cells.end, run.job_ids) for run in runs]
    assert spans == [("b", "b", ["two"]), ("a", "c", ["one", "three"])]


def test_a_cursor_that_cannot_be_read_is_begun_anew() -> None:
    assert MonitorCursor.read("{broken") == MonitorCursor.read(None) == MonitorCursor()


def test_nothing_in_flight_is_said_so(project: Project) -> None:
    assert project.tick("batch_monitor").skipped == "Nothing is in flight."


def test_a_listing_that_fails_is_a_skip_in_words_and_nothing_is_concluded(project: Project, books: Books) -> None:
    project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    books.order({"kind": "status", "on": "batches.list", "status": 401, "times": None})
    told = project.tick("batch_monitor")
    assert told.requests == []
    assert "local:" in (told.skipped or "")
    books.order()
    project.go_on(["batch_monitor"])
    assert project.cells("issue_kind/results") == {FIRST}


def test_each_run_has_a_key_of_its_own_though_it_is_of_the_same_jobs(project: Project) -> None:
    project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    first = _first_request(project)
    project.cursors["batch_monitor"] = None
    again = _first_request(project)
    assert first.run_config == again.run_config
    assert first.run_key != again.run_key


def _first_request(project: Project) -> dg.RunRequest:
    while not (requests := project.tick("batch_monitor").requests):
        pass
    return requests[0]


def test_the_remote_state_is_observed_on_the_submission_when_it_changes_and_only_then(project: Project) -> None:
    project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    _first_request(project)
    assert project.told("issue_kind/submission") == {FIRST: "At the provider: completed"}
    assert project.tick("batch_monitor").events == []


def test_what_a_dead_run_left_is_sent(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.materialize("issue_kind/requests", partition=FIRST)
    assert project.tick("batch_monitor").requests == []  # whoever planned it may be about to send it
    monkeypatch.setattr(due_module, "GRACE_SECONDS", 0.0)
    (request,) = project.tick("batch_monitor").requests
    assert request.asset_selection == [dg.AssetKey(["issue_kind", "submission"])]
    assert project.run(request).success
    assert project.cells("issue_kind/submission") == {FIRST}


def test_jobs_of_the_command_are_collected_and_reported_by_task(project: Project) -> None:
    task = load_tasks().get("issue_kind")
    made = plan(project.pipeline, Order(task, Selection(limit=3)))
    submit_job(project.pipeline, made.job_id)
    project.go_on(["batch_monitor"])
    told = project.metadata("adhoc_jobs")
    assert (told["jobs"], told["jobs in flight"], told["issue_kind: answered"]) == (1, 0, 3)
    assert project.cells("issue_kind/results") == set()


def test_reports_follow_when_jobs_have_ended_and_only_once(project: Project) -> None:
    project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    project.go_on(["batch_monitor"])
    reports = [request for request in project.asked if dg.AssetKey("batch_jobs") in (request.asset_selection or ())]
    assert len(reports) == 1
    assert project.rows("SELECT status, partition_key, records, completed_count FROM batch_jobs") == [
        ("done", FIRST, 14, 14)
    ]
    assert project.rows("SELECT status, requests FROM batches") == [("collected", 14)]
    assert project.tick("batch_monitor").requests == []


def test_a_job_whose_repository_is_gone_is_collected_all_the_same(project: Project) -> None:
    project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    project.instance.delete_dynamic_partition("repos", REPOS[0])
    request = _first_request(project)
    assert request.asset_selection == [dg.AssetKey("adhoc_jobs")]
    assert project.run(request).success
    assert project.rows("SELECT count(*) FROM issue_kind") == [(14,)]


def test_a_tick_without_time_begins_with_the_same_provider_next_time(project: Project) -> None:
    project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    cursor = MonitorCursor()
    seen = tick_module.look(project.pipeline, cursor, until=0)
    assert cursor.first == "local"
    assert "no time left" in seen.told[0]


def test_a_batch_past_its_window_fails_the_check_once_and_passes_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    watched = {"issue_kind": Watched("issue_kind", None, {"submission": (), "results": ()})}
    cursor = MonitorCursor()
    real = due_module.time.time
    monkeypatch.setattr(due_module.time, "time", lambda: real() + 2 * 24 * 3600)
    (failed,) = tick_module.late(project.pipeline, watched, cursor)
    assert (failed.passed, failed.check_name) == (False, "nothing_older_than_its_window")
    assert list(tick_module.late(project.pipeline, watched, cursor)) == []
    monkeypatch.undo()
    (passed,) = tick_module.late(project.pipeline, watched, cursor)
    assert passed.passed
