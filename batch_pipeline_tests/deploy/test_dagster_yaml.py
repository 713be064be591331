"""Dagster itself takes its files of `deploy/`, and makes of them what they say."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import cast

import dagster as dg
import pytest
from dagster._core.instance.config import dagster_instance_config
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.workspace.load import location_origins_from_yaml_paths

from batch_pipeline.automation.celery_launcher import WatchfulCeleryRunLauncher
from batch_pipeline.settings import project_root
from batch_pipeline_tests.deploy.celery_fleet import variables
from batch_pipeline_tests.deploy.files import COMPOSE, DEPLOY, part, read, services
from batch_pipeline_tests.scale.postgres import PostgresServer

FILES = ("dagster.yaml", "celery/dagster.yaml")


@pytest.mark.parametrize("name", FILES)
def test_it_is_an_instance_configuration(name: str) -> None:
    config, _ = dagster_instance_config(str((DEPLOY / name).parent))
    assert config["run_monitoring"]["enabled"]


def test_both_are_one_but_for_the_launcher() -> None:
    first, second = (dict(read(name)) for name in FILES)
    assert first.pop("run_launcher") != second.pop("run_launcher")
    assert first == second


def test_a_run_that_hangs_is_ended_and_one_that_was_lost_is_begun_anew() -> None:
    monitoring, retries = (part(read("dagster.yaml"), name) for name in ("run_monitoring", "run_retries"))
    assert 0 < cast("int", monitoring["start_timeout_seconds"]) < cast("int", monitoring["max_runtime_seconds"])
    assert (retries["enabled"], retries["retry_on_asset_or_op_failure"]) == (True, False)
    assert part(read("dagster.yaml"), "telemetry") == {"enabled": False}


def test_more_runs_go_at_once_than_on_one_machine() -> None:
    import yaml

    one_machine = yaml.safe_load((project_root() / "dagster.yaml").read_text(encoding="utf-8"))
    many, few = part(read("dagster.yaml"), "run_queue"), one_machine["run_queue"]
    assert cast("int", many["max_concurrent_runs"]) > few["max_concurrent_runs"]


def test_the_code_location_is_where_the_compose_file_has_it_and_is_named_as_everywhere() -> None:
    (origin,) = location_origins_from_yaml_paths([str(DEPLOY / "workspace.yaml")])
    server = services(COMPOSE)["code-server"]
    assert origin.location_name == "batch_pipeline"
    at = cast("_At", cast("object", origin))
    command = cast("list[str]", server["command"])
    assert (at.host, str(at.port)) == ("code-server", command[command.index("--port") + 1])


@pytest.fixture
def environment(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """What the files read, with a database that is there."""
    url = postgres.new_database()
    for name, value in variables(tmp_path, url, "redis://127.0.0.1:1/0").items():
        monkeypatch.setenv(name, value)
    yield
    postgres.drop(url)


@pytest.mark.scale
@pytest.mark.parametrize(
    ("name", "launcher"), list(zip(FILES, [DefaultRunLauncher, WatchfulCeleryRunLauncher], strict=True))
)
def test_an_instance_of_it_keeps_everything_on_postgres_by_psycopg2(
    name: str, launcher: type, environment: None
) -> None:
    folder = (DEPLOY / name).parent
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert isinstance(instance.run_launcher, launcher)
        assert instance.run_monitoring_max_runtime_seconds == 3600
        for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
            assert cast("_Storage", storage).postgres_url.startswith("postgresql+psycopg2://")
        instance.add_dynamic_partitions("repos", ["acme/web"])
        assert instance.get_dynamic_partitions("repos") == ["acme/web"]


class _Storage:
    postgres_url: str


class _At:
    host: str
    port: int
