"""Nights through two Celery workers that share no folder: with Postgres, a lake, object storage and Redis, all real."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from batch_pipeline.automation.partitions import Range
from batch_pipeline.automation.run_requests import over_cells
from batch_pipeline.automation.schedules import night_runs
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.local_server import LocalServerOptions, start
from batch_pipeline.settings import Settings
from batch_pipeline.sources.files import load_issues
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.deploy.celery_fleet import WORKERS, Fleet, make_home, variables
from batch_pipeline_tests.project import FEW_TASKS, NIGHT, REPOS, SENSORS, Project, cell
from batch_pipeline_tests.scale.object_storage import ObjectStorage
from batch_pipeline_tests.scale.postgres import PostgresServer
from batch_pipeline_tests.scale.redis import RedisServer

pytestmark = [pytest.mark.scale, pytest.mark.timeout(500)]

MADE_UP = "made-up/of-one-night"
ISSUES = 12


class World:
    """A pipeline and its project far from each other: what works on it are the fleet's processes alone."""

    def __init__(self, pipeline: Pipeline, fleet: Fleet, books: Books) -> None:
        self.fleet = fleet
        self.books = books
        self.project = Project(pipeline, instance=fleet.instance)

    def wait_for_results(self, *cells: str) -> None:
        """Until every task's results of these cells are there."""
        for task in FEW_TASKS:
            self.fleet.wait_until(lambda task=task: self.project.cells(f"{task}/results") >= set(cells))


@pytest.fixture(scope="module")
def world(
    postgres: PostgresServer,
    object_storage: ObjectStorage,
    redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[World]:
    """The servers, Dagster's daemon and two workers; started once, as that takes longer than a night."""
    folder, bucket = tmp_path_factory.mktemp("far"), object_storage.new_bucket()
    home = folder / "dagster"
    make_home(home)
    with (
        start(LocalServerOptions(port=0, state_dir=folder / "server")) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        ours = {
            "BATCH_PIPELINE_DATA_DIR": str(folder / "data"),
            "BATCH_PIPELINE_LEDGER_URL": postgres.new_database(),
            "BATCH_PIPELINE_WAREHOUSE_URL": f"ducklake:{postgres.new_database()}?data_path=s3://{bucket}/lake",
            "BATCH_PIPELINE_FILES_URL": f"s3://{bucket}/jobs",
            "BATCH_PIPELINE_LOCAL_URL": server.url,
            "BATCH_PIPELINE_POLL_SECONDS": "1",
            "BATCH_PIPELINE_CREATE_WAIT_SECONDS": "1",
            "BATCH_PIPELINE_TASKS": ",".join(FEW_TASKS),
        }
        of_dagster = variables(home, postgres.new_database(), redis.url)
        for name, value in {**ours, **of_dagster, **object_storage.variables}.items():
            patch.setenv(name, value)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            assert instance.run_launcher  # reads the environment when it is first used
            assert instance.compute_log_manager
            fleet = Fleet(home, dict(os.environ), instance)
            pipeline = Pipeline(Settings())
            with fleet.at_work():
                yield World(pipeline, fleet, Books(server))
            pipeline.close()


@pytest.fixture(autouse=True)
def _keys_of_the_storage(_no_environment: None, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """For this process, whose environment is emptied before each test."""
    for name, value in object_storage.variables.items():
        monkeypatch.setenv(name, value)


def answers(project: Project, *repos: str) -> list[list[tuple[object, ...]]]:
    """What each task answered, by record."""
    columns = "* EXCLUDE (job_id, batch_id, answered_at)"
    listed = ", ".join(f"'{repo}'" for repo in repos)
    return [
        project.rows(f"SELECT {columns} FROM {task}_latest WHERE repo IN ({listed}) ORDER BY record_id")
        for task in FEW_TASKS
    ]


def test_a_night_through_two_workers_has_the_answers_of_one_machine(
    world: World, make_pipeline: Callable[..., Pipeline]
) -> None:
    world.project.load_samples()
    (night,) = night_runs(NIGHT, REPOS)
    world.fleet.launch_night(night.tags)
    world.wait_for_results(*map(cell, REPOS))
    runs = world.fleet.instance.get_runs()
    assert dg.DagsterRunStatus.FAILURE not in {run.status for run in runs}
    assert world.fleet.workers_of(*runs) <= set(WORKERS)
    one_machine = Project(make_pipeline())
    one_machine.load_samples()
    assert one_machine.night().success
    run_until_answered(one_machine)
    assert [len(rows) for rows in answers(one_machine, *REPOS)] == [30, 30]
    assert answers(world.project, *REPOS) == answers(one_machine, *REPOS)
    one_machine.close()


def test_a_worker_killed_with_its_child_between_a_create_and_its_reply_costs_nothing_twice(
    world: World, tmp_path: Path
) -> None:
    night, project = date(2026, 11, 21), world.project
    (tmp_path / "made-up.json").write_text(json.dumps([made_up(number) for number in range(ISSUES)]))
    assert load_issues(project.pipeline.warehouse, [str(tmp_path / "made-up.json")], night).added == ISSUES
    project.add_repos(MADE_UP)
    before = {str(batch["batch_id"]) for batch in world.books.batches}
    world.books.order({"kind": "reply_late", "on": "batches.create", "seconds": 30})
    key = cell(MADE_UP, night)
    assert project.run(over_cells(Range(key, key), [dg.AssetKey("issues")], run_key=None)).success
    world.books.wait_until_struck()
    started = world.fleet.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    (run,) = [run for run in started if sends(run)]  # reports of the night before may be under way
    (killed,) = world.fleet.workers_of(run)
    world.fleet.kill(killed)
    world.wait_for_results(key)
    (other,) = set(WORKERS) - {killed}
    assert other in world.fleet.workers_of(*world.fleet.instance.get_runs())
    failed = world.fleet.instance.get_run_by_id(run.run_id)
    assert failed is not None
    assert failed.status is dg.DagsterRunStatus.FAILURE
    paid = [batch for batch in world.books.paid if str(batch["batch_id"]) not in before]
    assert [batch["lines_executed"] for batch in paid] == [ISSUES] * len(FEW_TASKS)
    assert [len(rows) for rows in answers(project, MADE_UP)] == [ISSUES] * len(FEW_TASKS)


def sends(run: dg.DagsterRun) -> bool:
    return any(key.path[-1] == "submission" for key in run.asset_selection or ())


def run_until_answered(project: Project) -> None:
    """Does what the sensors ask for, in this process, but for the reports."""
    deadline = time.monotonic() + 60
    while any(len(project.cells(f"{task}/results")) < len(REPOS) for task in FEW_TASKS):
        assert time.monotonic() < deadline
        for request in [request for sensor in SENSORS for request in project.tick(sensor).requests]:
            assert project.run(request).success


def made_up(number: int) -> dict[str, object]:
    """An issue, unlike all others."""
    return {
        "number": number + 1,
        "title": f"It fails with code {number}",
        "body": "Nothing else is known.",
        "state": "open",
        "html_url": f"https://github.com/{MADE_UP}/issues/{number + 1}",
    }
