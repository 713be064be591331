"""`DAGSTER_HOME`, made ready: locked, configured, and rid of runs that nobody works on any more."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.errors import UsageError
from batch_pipeline.settings import Settings, project_root

if TYPE_CHECKING:
    import dagster as dg


@contextmanager
def dagster_home(settings: Settings) -> Generator[Path]:
    """The folder, ours alone for the length of the block.

    Raises:
        UsageError: Another `dev` or `demo` works in it.
    """
    from filelock import FileLock, Timeout

    home = settings.dagster_dir
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(home / ".batch-pipeline.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(f"Another `dev` or `demo` works in {home}. End that one first.") from None
    try:
        _configure(home, ours=settings.dagster_home is None)
        yield home
    finally:
        lock.release()


def fail_dead_runs(instance: dg.DagsterInstance) -> int:
    """Fails the runs that were under way when everything was ended: they would hold the queue for ever.

    To be called while the lock is held and before the daemon starts: then nobody works on them.
    """
    import dagster as dg

    under_way = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    dead = instance.get_runs(filters=dg.RunsFilter(statuses=under_way))
    for run in dead:
        instance.report_run_failed(run, "Its process ended with the daemon that had started it.")
    return len(dead)


def _configure(home: Path, *, ours: bool) -> None:
    """A `DAGSTER_HOME` of the user's own keeps its configuration."""
    target = home / "dagster.yaml"
    if ours or not target.exists():
        shutil.copyfile(project_root() / "dagster.yaml", target)
