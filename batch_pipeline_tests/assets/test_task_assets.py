"""The assets of a task, in single cells and over ranges, in this project and in a foreign one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import dagster as dg
import pytest
from pydantic import BaseModel

from batch_pipeline.assets import build_batch_assets
from batch_pipeline.assets.issues import build_issues
from batch_pipeline.automation.sensors import build_batch_monitor, build_collected_issues
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import statuses
from batch_pipeline.batches.turn import wait_for
from batch_pipeline.errors import InvalidTask
from batch_pipeline.ledger import jobs
from batch_pipeline.resources import PipelineResource
from batch_pipeline.settings import load_settings
from batch_pipeline.tasks import BatchTask, Record
from batch_pipeline_tests.assets.foreign import foreign_definitions, foreign_job
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.project import REPOS, Project, cell, checks

FIRST, SECOND = (cell(repo) for repo in REPOS)


ROOT = Path(__file__).parent.parent.parent
PLANS = [dg.AssetKey(["book_mood", part]) for part in ("requests", "submission")]
MakeProject = Callable[..., Project]


class Mood(BaseModel):
    """How an issue sounds."""

    label: Literal["glad", "sad"]


def _prompt(record: Record) -> str:
    if record["repo"] == REPOS[0]:
        raise ValueError("nobody can read this one")
    return f"{record['title']}"


picky = BatchTask(name="picky", records="FROM issues", prompt=_prompt, answer=Mood)


def _picky_definitions() -> dg.Definitions:
    assets = build_batch_assets(picky)
    sensors = [build_collected_issues(assets), build_batch_monitor(assets)]
    resources = {"pipeline": PipelineResource()}
    return dg.Definitions(assets=[build_issues(load_settings()), *assets], sensors=sensors, resources=resources)


def test_a_night_goes_through_in_four_runs_and_every_cell_is_answered(project: Project) -> None:
    assert project.night().success
    done = project.go_on()
    assert [result.success for result in done] == [True] * len(done)
    for task in ("issue_kind", "product_labeling"):
        assert project.cells(f"{task}/results") == {FIRST, SECOND}
        assert project.rows(f"SELECT count(*), count(DISTINCT record_id) FROM {task}") == [(30, 30)]
    assert len(project.asked) <= 4  # plan and submit, results (twice if a batch ends between two ticks), reports


def test_the_metadata_of_results_tells_what_the_answers_cost(project: Project) -> None:
    project.night()
    project.go_on()
    told = project.metadata("issue_kind/results", FIRST)
    assert (told["dagster/row_count"], told["records"], told["answered"], told["not answered"]) == (14, 14, 14, 0)
    assert told["paid (USD)"] == 0
    batch, realtime, saved = (told[f"{name} (USD)"] for name in ("batch price", "realtime price", "saved"))
    assert isinstance(batch, float)
    assert batch > 0
    assert isinstance(realtime, float)
    assert isinstance(saved, float)
    assert realtime == pytest.approx(batch + saved)
    assert "tessaplot#" in str(told["answers"])
    assert "batch_" in str(told["provider batches"])


def test_a_table_of_metadata_is_short_enough_to_be_shown_at_once(project: Project) -> None:
    project.night()
    project.go_on()
    for name in ("issues", "product_labeling/results", "product_labeling/submission"):
        told = project.metadata(name, FIRST)
        assert all(len(value) < 1000 for value in told.values() if isinstance(value, str)), name


def test_a_single_cell_materialized_from_the_ui_goes_through_to_its_submission(project: Project) -> None:
    names = ("issues", "issue_kind/requests", "issue_kind/submission")
    assert project.materialize(*names, partition=FIRST).success
    assert project.cells("issue_kind/submission") == {FIRST}
    project.go_on(["batch_monitor"])
    assert project.cells("issue_kind/results") == {FIRST}


def test_a_second_run_of_a_cell_sends_nothing(project: Project, books: Books) -> None:
    project.night()
    project.go_on()
    sent = books.lines_executed
    result = project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    assert result.success
    assert project.metadata("issue_kind/requests", FIRST)["dagster/row_count"] == 0
    assert project.metadata("issue_kind/requests", FIRST)["answered before"] == 14
    assert project.tick("batch_monitor").requests == []
    assert books.lines_executed == sent


def test_one_cell_that_cannot_be_planned_leaves_the_others_alone_and_goes_again_alone(
    make_project: MakeProject,
) -> None:
    project = make_project(_picky_definitions())
    project.load_samples()
    project.night()
    (wide,) = project.tick("collected_issues").requests
    assert project.run(wide).success
    assert project.cells("picky/requests") == project.cells("picky/submission") == {SECOND}
    assert "nobody can read" in project.told("picky/requests")[FIRST]
    alone = _asked_alone(project)
    assert [request.tags["batch_pipeline/attempt"] for request in alone] == ["2", "3"]


def _asked_alone(project: Project) -> list[dg.RunRequest]:
    """The runs of the cell that fails, until it is not asked for any more; each of them fails."""
    asked: list[dg.RunRequest] = []
    while requests := project.tick("collected_issues").requests:
        assert [request.partition_key for request in requests] == [FIRST]
        assert [project.run(request).success for request in requests] == [False]
        asked += requests
    return asked


def test_what_is_not_executed_goes_again_inside_the_run_of_results(project: Project, books: Books) -> None:
    books.order({"kind": "rows", "status": 500, "every": 7})
    project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    project.go_on(["batch_monitor"])
    told = project.metadata("issue_kind/results", FIRST)
    assert (told["answered"], told["attempts"]) == (14, 2)


def test_a_job_that_somebody_else_collected_still_turns_its_cell_green(project: Project) -> None:
    project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    with project.pipeline.ledger.read() as db:
        (job,) = jobs.newest(db)
    assert wait_for(project.pipeline, job.job_id, 0.01).state == "done"
    (request,) = project.tick("batch_monitor").requests
    assert checks(project.run(request)) == {
        "every_record_accounted_for": True,
        "share_answered": True,
        "cost_within_estimate": True,
    }
    assert project.cells("issue_kind/results") == {FIRST}


def test_too_few_answers_fail_the_check_and_not_the_run(make_project: MakeProject, books: Books) -> None:
    project = make_project(max_attempts=1)
    project.load_samples()
    books.order({"kind": "rows", "status": 400, "code": "bad_luck", "every": 2})
    project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    done = project.go_on(["batch_monitor"])
    assert all(result.success for result in done)
    verdicts = [checks(result) for result in done if checks(result)]
    assert verdicts == [{"every_record_accounted_for": True, "share_answered": False, "cost_within_estimate": True}]
    assert "bad_luck" in str(project.metadata("issue_kind/results", FIRST)["errors by code"])


def test_without_a_server_a_cell_is_planned_and_says_why_it_is_not_sent(make_project: MakeProject) -> None:
    project = make_project(local_url="http://127.0.0.1:9/v1")
    project.load_samples()
    result = project.materialize("issue_kind/requests", "issue_kind/submission", partition=FIRST)
    assert not result.success
    assert project.cells("issue_kind/requests") == {FIRST}
    assert project.cells("issue_kind/submission") == set()
    assert "Not sent yet" in project.told("issue_kind/submission")[FIRST]


def test_disabled_nothing_is_planned_and_the_cell_says_so(make_project: MakeProject) -> None:
    project = make_project(enabled=False)
    project.load_samples()
    project.night()
    assert "ENABLED is false" in (project.tick("collected_issues").skipped or "")
    assert not project.materialize("issue_kind/requests", partition=FIRST).success
    assert "BATCH_PIPELINE_ENABLED" in project.told("issue_kind/requests")[FIRST]


def test_a_cell_of_results_without_a_job_is_reported_as_it_is(project: Project) -> None:
    assert project.materialize("issue_kind/results", partition=FIRST).success
    assert project.metadata("issue_kind/results", FIRST)["dagster/row_count"] == 0


def test_a_foreign_project_uses_the_assets_with_its_own_partitions(make_project: MakeProject) -> None:
    project = make_project(foreign_definitions())
    assert project.materialize("books").success
    assert project.materialize("book_mood/requests", "book_mood/submission", partition="fiction").success
    assert project.materialize("book_mood/requests", "book_mood/submission", partition="history").success
    assert all(result.success for result in project.go_on(["book_monitor"]))
    assert project.cells("book_mood/results") == {"fiction", "history"}
    assert project.rows("SELECT record_id FROM book_mood ORDER BY ALL") == [("b1",), ("b2",), ("b3",)]


def test_a_foreign_code_location_of_its_own_process_sends_and_we_collect(pipeline: Pipeline, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(tmp_path),
        "BATCH_PIPELINE_DATA_DIR": str(pipeline.data_dir),
        "BATCH_PIPELINE_LOCAL_URL": pipeline.settings.local_url,
    }
    module = "batch_pipeline_tests.assets.foreign"
    wanted = ["--select", "books,book_mood/requests,book_mood/submission", "--partition", "fiction"]
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", module, *wanted]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    (job,) = statuses(pipeline)
    assert (job.task, job.records, job.partition_key) == ("book_mood", 2, "fiction")
    assert wait_for(pipeline, job.job_id, 0.05).outcomes == {"answered": 2}


def test_a_run_that_is_repeated_finds_its_job(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = project.pipeline.settings
    monkeypatch.setenv("BATCH_PIPELINE_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("BATCH_PIPELINE_LOCAL_URL", settings.local_url)
    job = dg.reconstructable(foreign_job)
    with dg.instance_for_test() as instance:
        first = dg.execute_job(job, instance, asset_selection=[dg.AssetKey("books"), *PLANS])
        options = dg.ReexecutionOptions(parent_run_id=first.run_id)
        again = dg.execute_job(
            job, instance, asset_selection=[dg.AssetKey("books"), *PLANS], reexecution_options=options
        )
        assert first.success
        assert again.success
    with project.pipeline.ledger.read() as db:
        assert [each.records for each in jobs.newest(db)] == [3]


def test_a_task_without_partitions_goes_through_as_one(make_project: MakeProject) -> None:
    project = make_project(foreign_definitions(partitions_def=None))
    project.materialize("books")
    assert project.materialize("book_mood/requests", "book_mood/submission").success
    assert all(result.success for result in project.go_on(["book_monitor"]))
    assert project.metadata("book_mood/results")["answered"] == 3


def test_partitions_that_say_nothing_of_records_need_a_select() -> None:
    with pytest.raises(InvalidTask, match="select"):
        build_batch_assets(picky, partitions_def=dg.StaticPartitionsDefinition(["a"]))
