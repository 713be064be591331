"""What becomes of a run that no worker has; a run that one has is in `deploy/test_celery.py`, with real workers."""

from __future__ import annotations

from typing import Protocol, cast
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from batch_pipeline.automation import celery_launcher
from batch_pipeline.automation.celery_launcher import MOST_MISSES, WatchfulCeleryRunLauncher

RUNNING, FAILED = WorkerStatus.RUNNING, WorkerStatus.FAILED


class _Store(Protocol):
    def store_result(self, task_id: str, result: object, state: str) -> None: ...


class _App(Protocol):
    backend: _Store


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> WatchfulCeleryRunLauncher:
    monkeypatch.setattr(celery_launcher, "REPLY_SECONDS", 0.3)
    return WatchfulCeleryRunLauncher("dagster", broker="memory://", backend="cache+memory://")


def store(launcher: WatchfulCeleryRunLauncher, state: str, result: object) -> dg.DagsterRun:
    """A run whose task Celery's store has in that state."""
    task_id = str(uuid4())
    cast("_App", cast("object", launcher.celery)).backend.store_result(task_id, result, state)
    return dg.DagsterRun(job_name="issues", tags={DAGSTER_CELERY_TASK_ID_TAG: task_id})


def looks(launcher: WatchfulCeleryRunLauncher, run: dg.DagsterRun, times: int = MOST_MISSES) -> list[WorkerStatus]:
    return [launcher.check_run_worker_health(run).status for _ in range(times)]


def test_a_task_that_failed_fails_its_run_at_once(launcher: WatchfulCeleryRunLauncher) -> None:
    run = store(launcher, "FAILURE", RuntimeError("the process was killed"))
    assert looks(launcher, run, 1) == [FAILED]


@pytest.mark.parametrize("worker", ["killed@here", None])
def test_a_task_that_no_worker_has_fails_its_run_at_the_third_look(
    launcher: WatchfulCeleryRunLauncher, worker: str | None
) -> None:
    begun = {"pid": 1, "hostname": worker} if worker else None
    run = store(launcher, "STARTED" if worker else "PENDING", begun)
    assert looks(launcher, run) == [RUNNING, RUNNING, FAILED]


def test_a_run_that_is_still_open_long_after_its_task_ended_fails(launcher: WatchfulCeleryRunLauncher) -> None:
    assert looks(launcher, store(launcher, "SUCCESS", 0)) == [RUNNING, RUNNING, FAILED]


def test_a_run_that_was_never_given_to_celery_fails(launcher: WatchfulCeleryRunLauncher) -> None:
    assert looks(launcher, dg.DagsterRun(job_name="issues")) == [RUNNING, RUNNING, FAILED]


def test_looks_at_one_run_say_nothing_of_another(launcher: WatchfulCeleryRunLauncher) -> None:
    first, second = (store(launcher, "SUCCESS", 0) for _ in range(2))
    assert looks(launcher, first, 2) + looks(launcher, second, 2) == [RUNNING] * 4
