"""A Celery launcher that notices a worker's death; named by `deploy/celery/dagster.yaml`, imported by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

try:
    from dagster_celery.launcher import CeleryRunLauncher
    from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
except ImportError as error:
    raise ImportError("Dagster's runs by Celery need dagster-celery: pip install 'batch_pipeline[celery]'.") from error
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import dagster as dg

REPLY_SECONDS = 2.0
"""How long a worker is given to say whether it has a task: its main process answers, however busy the task is."""
MOST_MISSES = 3
"""Looks in a row at which nobody has the task before its run fails; `poll_interval_seconds` lies between two."""


class WatchfulCeleryRunLauncher(CeleryRunLauncher):
    """Dagster's `CeleryRunLauncher`, which asks the workers whether one of them still has a run's task.

    Dagster's own reads the result store, where a task whose worker was killed is STARTED for ever: its run would hang
    until `dagster/max_runtime`, for hours. A store that was lost, on the other hand, would fail runs that go on.
    """

    _misses: dict[str, int]

    @override
    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """RUNNING while a worker has the task; FAILED once it failed, or nobody had it at `MOST_MISSES` looks."""
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task_id is None:
            return self._missed(run.run_id, "The run was never given to Celery.")
        result = cast("_Results", self.celery).AsyncResult(task_id)
        if result.state == "FAILURE":
            return CheckRunHealthResult(WorkerStatus.FAILED, "The worker's process ended before the run did.")
        if result.state != "SUCCESS" and self._is_with_a_worker(task_id, _worker_of(result)):
            self._counts.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return self._missed(run.run_id, f"No worker has the run's task; Celery's store says {result.state}.")

    def _is_with_a_worker(self, task_id: str, worker: str | None) -> bool:
        """Asks the worker that started it, which answers at once, or all where it is not known."""
        control = cast("_Control", self.celery.control)
        asked = control.inspect(destination=None if worker is None else [worker], timeout=REPLY_SECONDS)
        return any((asked.query_task(task_id) or {}).values())

    def _missed(self, run_id: str, message: str) -> CheckRunHealthResult:
        """One miss proves nothing: a run that has just ended, or a broker that was away, look the same."""
        misses = self._counts[run_id] = self._counts.get(run_id, 0) + 1
        if misses < MOST_MISSES:
            return CheckRunHealthResult(WorkerStatus.RUNNING, message, transient=True)
        del self._counts[run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, message)

    @property
    def _counts(self) -> dict[str, int]:
        if "_misses" not in self.__dict__:
            self._misses = {}
        return self._misses


def _worker_of(result: _Result) -> str | None:
    return result.info.get("hostname") if result.state == "STARTED" and isinstance(result.info, dict) else None


class _Result(Protocol):
    @property
    def state(self) -> str: ...

    @property
    def info(self) -> dict[str, str] | Exception | None: ...


class _Results(Protocol):
    def AsyncResult(self, task_id: str) -> _Result: ...  # noqa: N802 - Celery's name


class _Inspect(Protocol):
    def query_task(self, *ids: str) -> Mapping[str, Mapping[str, object]] | None: ...


class _Control(Protocol):
    def inspect(self, *, destination: Sequence[str] | None, timeout: float) -> _Inspect: ...
