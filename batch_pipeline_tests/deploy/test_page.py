"""docs/deployment.md names files, services, verbs and figures that are there."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import cast

import yaml

from batch_pipeline.settings import project_root
from batch_pipeline_tests.deploy.commands import parses
from batch_pipeline_tests.deploy.files import COMPOSE, VALUES, part, read, services
from batch_pipeline_tests.pages import text_of

PAGE = text_of("docs/deployment.md")
ROOT = project_root()


def test_its_files_are_there() -> None:
    named = set(re.findall(r"\bdeploy/[\w./-]*\w", PAGE)) - {"deploy/.env", "deploy/batch-pipeline-rest"}
    assert len(named) > 6
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert {path.name for path in (ROOT / "deploy").iterdir()} - {".env", "Dockerfile.dockerignore"} <= {
        name.rstrip("/")
        for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
        for name in re.findall(r"`([\w./]+)", row)
    } | {"postgres"}


def test_its_calls_name_services_and_commands_that_are_there() -> None:
    calls = re.findall(r"^\s*docker compose (.*)$", PAGE, re.MULTILINE)
    inside = [found for call in calls if (found := re.search(r"(?:exec|run --rm) ([\w-]+) (.*)", call))]
    assert len(inside) >= 4
    for found in inside:
        assert found[1] in services(COMPOSE)
        assert parses(found[2].split())
    stopped = [name for call in calls if " stop " in call for name in call.partition(" stop ")[2].split()]
    assert set(stopped) == {name for name, service in services(COMPOSE).items() if "build" in service}
    (worker,) = re.findall(r"^celery .*$", PAGE, re.MULTILINE)
    assert worker.split() == services("celery/compose.yaml")["worker"]["command"]


def test_the_chart_is_that_of_dagster_as_it_is_locked() -> None:
    (told,) = set(re.findall(r"--version (\S+)", PAGE + (ROOT / "deploy" / VALUES).read_text(encoding="utf-8")))
    assert told == version("dagster")


def test_its_figures_are_those_of_the_files() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", PAGE.partition("## What the figures")[2], re.MULTILINE)
    )
    compose, chart = read("dagster.yaml"), part(read(VALUES), "additionalInstanceConfig")
    queue = part(read(VALUES), "dagsterDaemon", "runCoordinator", "config", "queuedRunCoordinator")
    assert rows.pop("max_concurrent_runs") == (
        f"{part(compose, 'run_queue')['max_concurrent_runs']}; {queue['maxConcurrentRuns']} on Kubernetes"
    )
    assert rows.pop("run_retries").startswith(f"{part(compose, 'run_retries')['max_retries']},")
    for name, told in rows.items():
        here, there = (cast("int", part(each, "run_monitoring")[name]) for each in (compose, chart))
        assert told == (f"{here}" if here == there else f"{here}; {there} on Kubernetes"), name


def test_celerys_settings_are_as_it_says() -> None:
    text = (ROOT / "deploy/celery/dagster_celery_config.py").read_text(encoding="utf-8")
    settings = dict(re.findall(r"^(\w+) = (\w+)$", text, re.MULTILINE))
    wanted = {"task_acks_late": False, "worker_prefetch_multiplier": 1, "worker_disable_prefetch": True}
    assert {name: yaml.safe_load(settings[name]) for name in wanted} == wanted
    rows = re.findall(r"^\| (`task_acks_late`.*|`worker_\w+`.*|`result_extended`.*)$", PAGE, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} <= set(settings)
