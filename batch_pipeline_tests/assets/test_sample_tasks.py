"""Every sample task over issues, through Dagster and through the command: the same table comes of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg
import pytest

from batch_pipeline.assets import build_batch_assets
from batch_pipeline.automation.partitions import Range
from batch_pipeline.automation.run_requests import over_cells
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing.status import statuses
from batch_pipeline.batches.turn import place, wait_for
from batch_pipeline.definitions import build_definitions
from batch_pipeline.errors import InvalidSelection, InvalidTask
from batch_pipeline.sources.files import load_issues
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.project import NIGHT, REPOS, SAMPLES, Project, asset, cell

MakeProject = Callable[..., Project]

ROLES = ["coder", "fixer", "planner", "reviewer"]
TASKS = ("issue_summary", "issue_work")
BY_NIGHT = ("issue_embeddings", "issue_kind", "product_labeling")


@pytest.fixture
def everything(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The sample issues, and assets of these tasks."""
    monkeypatch.setenv("BATCH_PIPELINE_TASKS", ",".join(TASKS))
    project = make_project(build_definitions())
    project.load_samples()
    return project


def by_command(make_pipeline: Callable[..., Pipeline], folder: Path, tasks: Sequence[str] = TASKS) -> Pipeline:
    """The same issues, asked about as the command does: one job a task, and one a variant."""
    pipeline = make_pipeline(data_dir=folder)
    load_issues(pipeline.warehouse, [str(SAMPLES)], NIGHT)
    for name in tasks:
        task = load_tasks().get(name)
        for variant in task.asked_as:
            placed = place(pipeline, Order(task, Selection(variant=variant)))
            wait_for(pipeline, placed.job.job_id, 0.05)
    return pipeline


def table(pipeline: Pipeline, name: str) -> list[tuple[object, ...]]:
    fields = ", ".join(load_tasks().get(name).answer_columns)
    sql = f"SELECT record_id, variant, prompt_version, content_hash, {fields} FROM {name}_latest ORDER BY ALL"
    with pipeline.warehouse.read() as connection:
        return connection.execute(sql).fetchall()


def by_hand(project: Project) -> None:
    """What a person materializes: each task's cells of the night."""
    for task, cells in {"issue_work": [NIGHT.isoformat()], "issue_summary": [cell(repo) for repo in REPOS]}.items():
        for each in cells:
            assert project.materialize(f"{task}/requests", f"{task}/submission", partition=each).success


def test_a_night_and_the_command_come_to_the_same_tables(
    everything: Project, make_pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    everything.night()
    assert everything.tick("collected_issues").requests == []  # they are not nightly
    by_hand(everything)
    everything.go_on(seconds=60)
    assert everything.cells("issue_work/results") == {NIGHT.isoformat()}
    assert everything.cells("issue_summary/results") == {cell(repo) for repo in REPOS}
    roles = "SELECT variant, count(DISTINCT record_id) FROM issue_work GROUP BY variant ORDER BY variant"
    assert everything.rows(roles) == [(role, 23) for role in ROLES]
    told = everything.metadata("issue_work/requests", NIGHT.isoformat())
    assert (told["records"], told["variants"]) == (92, "planner (23), coder (23), fixer (23), reviewer (23)")
    results = everything.metadata("issue_work/results", NIGHT.isoformat())
    assert (results["records"], results["answered"]) == (92, 92)
    other = by_command(make_pipeline, tmp_path / "by-command")
    for name in TASKS:
        assert table(everything.pipeline, name) == table(other, name)
        assert len(table(other, name)) == {"issue_summary": 30, "issue_work": 92}[name]


def test_the_tasks_that_follow_every_night_come_to_the_same_tables_too(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch, make_pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_TASKS", ",".join(BY_NIGHT))
    project = make_project(build_definitions())
    project.load_samples()
    project.night()
    project.go_on(seconds=60)
    other = by_command(make_pipeline, tmp_path / "by-command", BY_NIGHT)
    for name in BY_NIGHT:
        assert project.cells(f"{name}/results") == {cell(repo) for repo in REPOS}
        assert len(table(other, name)) == 30
        assert table(project.pipeline, name) == table(other, name)


def test_a_person_may_choose_variants_order_and_limit_in_the_launchpad(everything: Project) -> None:
    chosen = {"variants": ["fixer"], "order": "reactions", "limit": 3}
    assets = [asset("issue_work/requests"), asset("issue_work/submission")]
    cells = Range(NIGHT.isoformat(), NIGHT.isoformat())
    config = {"ops": {"issue_work__submit": {"config": chosen}}}
    assert everything.run(over_cells(cells, assets, run_key=None, config=config)).success
    (now,) = statuses(everything.pipeline)
    assert now.records == 3
    wanted = "SELECT record_id FROM issues WHERE state = 'open' ORDER BY reactions DESC, record_id LIMIT 3"
    everything.go_on(["batch_monitor"])
    asked = everything.rows("SELECT record_id FROM issue_work_latest WHERE variant = 'fixer'")
    assert sorted(asked) == sorted(everything.rows(wanted))


def test_a_task_of_variants_wants_one_to_be_chosen(pipeline: Pipeline) -> None:
    with pytest.raises(InvalidTask, match="choose one with --variant: planner, coder, fixer, reviewer"):
        place(pipeline, Order(load_tasks().get("issue_work")))


def test_what_a_variant_was_asked_is_not_what_another_was(pipeline: Pipeline) -> None:
    load_issues(pipeline.warehouse, [str(SAMPLES)], NIGHT)
    task = load_tasks().get("issue_work")
    for variant, records in (("planner", 2), ("planner", 0), ("coder", 2)):
        placed = place(pipeline, Order(task, Selection(variant=variant, ids=SOME)))
        assert placed.job.records == records
        if records:
            wait_for(pipeline, placed.job.job_id, 0.05)
    rows = table(pipeline, "issue_work")
    assert [row[1] for row in rows] == ["coder", "planner"] * 2
    assert len({row[2] for row in rows}) == 2


SOME = ("lumenquarry/tessaplot#902", "quillhaven/ferrywright#1196")


def test_a_partition_can_not_be_a_query(make_project: MakeProject) -> None:
    task = load_tasks().get("issue_kind")
    days = dg.DailyPartitionsDefinition("2026-11-01")
    assets = build_batch_assets(task, partitions_def=days, select=lambda _: Selection(sql="FROM issues"))
    project = make_project(dg.Definitions(assets=assets))
    assert not project.materialize("issue_kind/requests", partition="2026-11-03").success
    assert "put the query into its `records`" in project.told("issue_kind/requests")["2026-11-03"]
    assert InvalidSelection.exit_code == 2
