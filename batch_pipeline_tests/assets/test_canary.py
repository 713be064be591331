"""A task's canary in Dagster: both jobs are planned, the monitor sends the rest when the canary was good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import dagster as dg
import pytest
from pydantic import BaseModel

from batch_pipeline.assets import build_batch_assets
from batch_pipeline.automation.sensors import build_batch_monitor
from batch_pipeline.batches.canary import despite_canary
from batch_pipeline.batches.standing.status import JobStatus, statuses
from batch_pipeline.resources import PipelineResource
from batch_pipeline.tasks import BatchTask
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.project import REPOS, Project, cell

FIRST = cell(REPOS[0])


class Mood(BaseModel):
    """How an issue sounds."""

    label: Literal["glad", "sad"]


careful = BatchTask(name="careful", records="FROM issues", prompt="{title}", answer=Mood, canary=3, deps=())


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """A project of that one task, with the sample issues of a night."""
    assets = build_batch_assets(careful)
    resources = {"pipeline": PipelineResource()}
    definitions = dg.Definitions(assets=assets, sensors=[build_batch_monitor(assets)], resources=resources)
    made = make_project(definitions)
    made.load_samples()
    return made


def planned(project: Project) -> None:
    assert project.materialize("careful/requests", "careful/submission", partition=FIRST).success
    assert project.cells("careful/requests") == {FIRST}
    assert project.cells("careful/submission") == set()
    assert "goes first" in project.told("careful/submission")[FIRST]


def whole(project: Project) -> JobStatus:
    (found,) = [job for job in statuses(project.pipeline) if job.canary]
    return found


def test_the_cell_turns_green_when_canary_and_job_are_through(project: Project, books: Books) -> None:
    planned(project)
    runs = project.go_on(["batch_monitor"])
    assert all(run.success for run in runs)
    assert project.cells("careful/submission") == project.cells("careful/results") == {FIRST}
    told = project.metadata("careful/results", FIRST)
    assert (told["records"], told["answered"]) == (14, 14)
    assert [batch["lines_executed"] for batch in books.batches] == [3, 11]
    assert "3 of its 3 records are answered" in str(project.metadata("careful/submission", FIRST)["canary"])
    results = [run for run in project.asked if dg.AssetKey(["careful", "results"]) in (run.asset_selection or ())]
    assert len(results) == 2
    assert project.tick("batch_monitor").requests == []


def test_a_bad_one_leaves_the_cell_as_it_is_and_no_run_is_asked_for_until_a_person_decides(
    project: Project, books: Books
) -> None:
    books.order({"kind": "prose", "times": None})
    planned(project)
    for _ in range(200):
        for request in project.tick("batch_monitor").requests:
            project.run(request)
        if whole(project).stopped:
            break
    assert "stopped by its canary" in project.told("careful/submission")[FIRST]
    assert (project.cells("careful/submission"), project.cells("careful/results")) == (set(), set())
    assert [project.tick("batch_monitor").requests for _ in range(3)] == [[], [], []]
    assert books.lines_executed == 3 * 3
    books.order()
    despite_canary(project.pipeline, whole(project).job_id)
    project.cursors.clear()  # as if the time had come in which a run is asked for again
    project.go_on(["batch_monitor"])
    assert project.cells("careful/submission") == project.cells("careful/results") == {FIRST}
    assert project.metadata("careful/results", FIRST)["answered"] == 11
