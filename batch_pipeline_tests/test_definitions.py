"""Exactly what the Dagster project has: a name that vanishes here vanishes for everybody who relies on it."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import pytest

from batch_pipeline.definitions import build_definitions
from batch_pipeline.errors import InvalidSettings

TASKS = (
    *("document_questions", "fashion_tags", "file_embeddings"),
    *("issue_embeddings", "issue_kind", "issue_summary", "issue_work", "product_labeling"),
)


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return build_definitions().get_repository_def()


def test_there_are_exactly_these_assets(repository: dg.RepositoryDefinition) -> None:
    assets = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    of_tasks = {f"{task}/{part}" for task in TASKS for part in ("requests", "submission", "results")}
    assert assets == {
        "issues",
        "images",
        "documents",
        "files",
        *of_tasks,
        "adhoc_jobs",
        "batch_jobs",
        "spend",
        "operations",
        "eval_scores",
        "reprocess_failed",
    }


def test_there_are_exactly_these_jobs_schedules_and_sensors(repository: dg.RepositoryDefinition) -> None:
    assert {job.name for job in repository.get_all_jobs()} == {
        "__ASSET_JOB",
        "collect_issues",
        "reprocess",
        "scheduled_orders",
    }
    assert {schedule.name for schedule in repository.schedule_defs} == {"nightly", "scheduled_orders"}
    assert {sensor.name for sensor in repository.sensor_defs} == {"collected_issues", "batch_monitor", "failed_runs"}


def test_schedule_and_sensors_run_by_themselves(repository: dg.RepositoryDefinition) -> None:
    assert all(schedule.default_status == dg.DefaultScheduleStatus.RUNNING for schedule in repository.schedule_defs)
    assert all(sensor.default_status == dg.DefaultSensorStatus.RUNNING for sensor in repository.sensor_defs)


def test_there_are_exactly_these_checks(repository: dg.RepositoryDefinition) -> None:
    checks = {f"{key.asset_key.to_user_string()}: {key.name}" for key in repository.asset_graph.asset_check_keys}
    of_results = ("every_record_accounted_for", "share_answered", "cost_within_estimate")
    assert checks == {
        *(f"{task}/results: {name}" for task in TASKS for name in of_results),
        *(f"{task}/submission: nothing_older_than_its_window" for task in TASKS),
    }


def test_every_asset_says_what_it_is_and_whose(repository: dg.RepositoryDefinition) -> None:
    for key in repository.asset_graph.get_all_asset_keys():
        node = repository.asset_graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name != "default", key


def test_issues_and_tasks_share_their_cells(repository: dg.RepositoryDefinition) -> None:
    issues = repository.asset_graph.get(dg.AssetKey("issues")).partitions_def
    assert isinstance(issues, dg.MultiPartitionsDefinition)
    assert issues.partition_dimension_names == ["night", "repo"]
    assert issues.get_partitions_def_for_dimension("repo") == dg.DynamicPartitionsDefinition(name="repos")
    assert repository.asset_graph.get(dg.AssetKey(["issue_kind", "results"])).partitions_def == issues


def test_the_settings_decide_when_and_how_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_NIGHT_HOUR", "5")
    monkeypatch.setenv("BATCH_PIPELINE_TIMEZONE", "Europe/Berlin")
    monkeypatch.setenv("BATCH_PIPELINE_POLL_SECONDS", "7")
    repository = build_definitions().get_repository_def()
    schedule = repository.get_schedule_def("nightly")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 5 * * *", "Europe/Berlin")
    assert repository.get_sensor_def("batch_monitor").minimum_interval_seconds == 7


def test_a_wrong_setting_is_named_when_the_project_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_NIGHT_HOUR", "25")
    with pytest.raises(InvalidSettings, match="BATCH_PIPELINE_NIGHT_HOUR"):
        build_definitions()


def test_loading_imports_nothing_that_only_a_run_needs() -> None:
    """Each run is a process that imports everything again; these cost 0.1 to 0.5 s each."""
    late = {"pandas", "openai", "githubkit", "sklearn", "matplotlib", "PIL", "pypdf"}
    told = f"import sys, batch_pipeline.definitions; print({late} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
