"""The real thing: Dagster's daemon and our sensors in their own processes, against the local server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline_tests.project import REPOS, Project, cell

ROOT = Path(__file__).parent.parent.parent
SECONDS = 90.0


@contextmanager
def daemon(home: Path, environment: dict[str, str]) -> Generator[subprocess.Popen[bytes]]:
    """`dagster-daemon run`, in a session of its own: it and all that it started end with the block."""
    log = (home / "daemon.log").open("wb")
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(ROOT / "workspace.yaml")]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            log.close()


def wait_until(seen: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not seen():
        assert process.poll() is None, f"the daemon has ended: {log.read_text()}"
        assert time.monotonic() < deadline, f"not seen in {SECONDS:.0f} s: {log.read_text()[-4000:]}"
        time.sleep(0.2)


@pytest.mark.timeout(150)
def test_a_night_of_two_repositories_is_answered_by_daemon_and_sensors_alone(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    settings = pipeline.settings
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "BATCH_PIPELINE_DATA_DIR": str(settings.data_dir),
        "BATCH_PIPELINE_LOCAL_URL": settings.local_url,
        "BATCH_PIPELINE_POLL_SECONDS": "2",
    }
    with dg.DagsterInstance.from_config(str(home)) as instance, daemon(home, environment) as process:
        project = Project(pipeline, instance=instance)
        project.load_samples()
        assert project.night().success
        cells = {cell(repo) for repo in REPOS}
        for task in ("issue_kind", "product_labeling"):
            wait_until(lambda task=task: project.cells(f"{task}/results") == cells, process, home / "daemon.log")
    assert project.rows("SELECT count(*) FROM issue_kind_latest") == [(30,)]
    assert project.rows("SELECT count(*) FROM product_labeling_latest") == [(30,)]
    project.pipeline_resource.open().close()
