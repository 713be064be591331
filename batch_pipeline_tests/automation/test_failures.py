"""A run that fails is told once, without what its error says."""

from __future__ import annotations

from collections.abc import Callable, Generator

import dagster as dg
import pytest
from sqlalchemy import select

from batch_pipeline.automation.failures import build_failed_runs, cells_of, failure_in_words
from batch_pipeline.automation.run_requests import RANGE_END, RANGE_START
from batch_pipeline.ledger.tables import notices
from batch_pipeline_tests.project import REPOS, Project, cell
from batch_pipeline_tests.receiver import Receiver, receiver

MakeProject = Callable[..., Project]


@pytest.fixture
def told() -> Generator[Receiver]:
    with receiver() as running:
        yield running


def notice(project: Project, run: dg.ExecuteInProcessResult) -> None:
    """What the daemon does when it sees that a run has failed."""
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_event=run.get_run_failure_event(),
        dagster_instance=project.instance,
        dagster_run=run.dagster_run,
        partition_key=None,
        resources={"pipeline": project.pipeline_resource},
    ).for_run_failure()
    build_failed_runs()(context)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2026-11-20"]))
def broken() -> None:
    raise ValueError("what a record says")


def failed(make_project: MakeProject, **settings: object) -> tuple[Project, dg.ExecuteInProcessResult]:
    project = make_project(dg.Definitions(assets=[broken]), **settings)
    run = project.materialize("broken", partition="2026-11-20")
    assert not run.success
    return project, run


def test_a_run_that_failed_is_told_once(make_project: MakeProject, told: Receiver) -> None:
    project, run = failed(make_project, notice_url=told.url)
    notice(project, run)
    notice(project, run)
    (received,) = told.all()
    assert received.json["kind"] == "run failed"
    assert received.json["run_id"] == run.run_id
    assert f"Run {run.run_id[:8]} failed for 2026-11-20: broken." in received.json["text"]
    assert "what a record says" not in received.body.decode()


def test_without_anybody_to_tell_nothing_is_kept(make_project: MakeProject) -> None:
    project, run = failed(make_project)
    notice(project, run)
    with project.pipeline.ledger.read() as db:
        assert db.execute(select(notices)).all() == []


def test_a_range_is_told_by_its_ends_and_many_steps_by_some() -> None:
    tags = {RANGE_START: cell(REPOS[0]), RANGE_END: cell(REPOS[1])}
    run = dg.DagsterRun("nightly", tags=tags)
    text = failure_in_words(run, [f"step_{number}" for number in range(7)])
    assert f"for {cell(REPOS[0])} to {cell(REPOS[1])}: step_0, " in text
    assert "step_4 and 2 more steps." in text
    assert "before its first step" in failure_in_words(dg.DagsterRun("nightly"), [])


def test_a_range_of_one_cell_is_told_as_that_cell() -> None:
    cell = {RANGE_START: "2026-11-20|acme/orbit", RANGE_END: "2026-11-20|acme/orbit"}
    assert cells_of(dg.DagsterRun("nightly", tags=cell)) == "2026-11-20|acme/orbit"
    cells = {**cell, RANGE_END: "2026-11-20|acme/saturn"}
    assert cells_of(dg.DagsterRun("nightly", tags=cells)) == "2026-11-20|acme/orbit to 2026-11-20|acme/saturn"
