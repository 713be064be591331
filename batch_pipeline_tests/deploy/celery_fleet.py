"""Dagster on Postgres, with its daemon and Celery's workers as processes of their own, as `deploy/celery` has them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Protocol, cast
from urllib.parse import unquote, urlsplit

import dagster as dg
import yaml
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from batch_pipeline.settings import project_root

ROOT = project_root()
WORKERS = ("first", "second")
SECONDS = 180.0
_QUICK = {
    "run_queue": {"dequeue_interval_seconds": 1},
    "run_monitoring": {"poll_interval_seconds": 1},
}
"""The only figures in which the tests' file differs from that of `deploy/celery`."""


def make_home(home: Path) -> None:
    """`DAGSTER_HOME`, with the file of `deploy/celery`."""
    home.mkdir()
    config = yaml.safe_load((ROOT / "deploy/celery/dagster.yaml").read_text())
    for section, figures in _QUICK.items():
        config[section] |= figures
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))


def variables(home: Path, dagster_url: str, redis_url: str) -> dict[str, str]:
    """What the file of `deploy/celery` reads from the environment."""
    database = urlsplit(dagster_url)
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_LOGS_DIR": str(home / "logs"),
        "DAGSTER_POSTGRES_HOST": database.hostname or "",
        "DAGSTER_POSTGRES_PORT": str(database.port),
        "DAGSTER_POSTGRES_USER": unquote(database.username or ""),
        "DAGSTER_POSTGRES_PASSWORD": unquote(database.password or ""),
        "DAGSTER_POSTGRES_DB": database.path.removeprefix("/"),
        "CELERY_BROKER_URL": redis_url,
        "CELERY_RESULT_BACKEND": redis_url,
        "PYTHONPATH": str(ROOT / "deploy/celery"),
    }


class Fleet:
    """A daemon and two workers; each is the leader of a session of its own, by which all that it started is ended."""

    def __init__(self, home: Path, environment: Mapping[str, str], instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._home = home
        self._environment = environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @contextmanager
    def at_work(self) -> Generator[None]:
        """Starts all of it, and ends it with the block."""
        daemon = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(ROOT / "workspace.yaml")]
        with ExitStack() as stack:
            stack.callback(self._end)
            self._start("daemon", daemon, stack)
            for name in WORKERS:
                self._start(name, worker_command(name), stack)
            yield

    def launch_night(self, tags: Mapping[str, str]) -> None:
        """Puts the run that the nightly schedule asks for into the queue."""
        import json

        command = [sys.executable, "-m", "dagster", "job", "launch", "-w", str(ROOT / "workspace.yaml")]
        given = ["-j", "collect_issues", "--tags", json.dumps(dict(tags))]
        subprocess.run([*command, *given], cwd=ROOT, env=self._environment, check=True, capture_output=True)

    def wait_until(self, seen: Callable[[], bool]) -> None:
        """Until it is seen; what the processes said is in the error where it is not."""
        deadline = time.monotonic() + SECONDS
        while not seen():
            assert self._processes["daemon"].poll() is None, f"the daemon has ended: {self._told()}"
            assert time.monotonic() < deadline, f"not seen in {SECONDS:.0f} s: {self._told()}"
            time.sleep(0.2)

    def workers_of(self, *runs: dg.DagsterRun) -> set[str]:
        """The names of the workers that have taken the tasks of these runs, by what they wrote into Celery's store."""
        celery = cast("_Launcher", cast("object", self.instance.run_launcher)).celery
        tasks = [run.tags[DAGSTER_CELERY_TASK_ID_TAG] for run in runs if DAGSTER_CELERY_TASK_ID_TAG in run.tags]
        found = [celery.AsyncResult(task_id).worker for task_id in tasks]
        return {name.partition("@")[0] for name in found if name is not None}

    def kill(self, worker: str) -> None:
        """SIGKILL to a worker and to the processes that it started, all at once."""
        process = self._processes[worker]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _start(self, name: str, command: list[str], stack: ExitStack) -> None:
        environment = {**self._environment, "BATCH_PIPELINE_DATA_DIR": str(self._home / f"data of {name}")}
        log: IO[bytes] = stack.enter_context((self._home / f"{name}.log").open("wb"))
        self._processes[name] = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )

    def _end(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _told(self) -> str:
        logs = {name: (self._home / f"{name}.log").read_text()[-3000:] for name in self._processes}
        runs = [(run.status.value, sorted(map(str, run.asset_selection or ()))) for run in self.instance.get_runs()]
        return "\n".join([str(runs), *(f"--- {name}\n{text}" for name, text in logs.items())])


def worker_command(name: str) -> list[str]:
    """That of the compose file, with a name, and one process: a test has two cores."""
    compose = yaml.safe_load((ROOT / "deploy/celery/compose.yaml").read_text())
    command: list[str] = compose["services"]["worker"]["command"]
    assert command[0] == "celery"
    return [sys.executable, "-m", *command, "--concurrency=1", f"--hostname={name}@127.0.0.1"]


class _Result(Protocol):
    worker: str | None


class _App(Protocol):
    def AsyncResult(self, task_id: str) -> _Result: ...  # noqa: N802 - Celery's name


class _Launcher(Protocol):
    celery: _App
