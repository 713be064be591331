"""A worker process: plans a job and takes turns until all is done, unless it is struck before."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batch_pipeline.batches import points, settle
from batch_pipeline.batches.cancel import cancel
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan
from batch_pipeline.batches.prune import prune
from batch_pipeline.batches.recover import recover_all
from batch_pipeline.batches.turn import take_turn
from batch_pipeline.errors import LedgerReplaced, LedgerUnavailable, PipelineError
from batch_pipeline.ledger import jobs
from batch_pipeline.settings import ProviderName, Settings
from batch_pipeline_tests.batches.chain import mood
from batch_pipeline_tests.chaos import hosts, wire
from batch_pipeline_tests.chaos.forked import fork
from batch_pipeline_tests.chaos.points import ANY, Strike
from batch_pipeline_tests.chaos.worlds import WAIT

BETWEEN_TURNS = 0.05
HUNG = 90
"""Seconds after which a worker counts as hung, and ends."""
MAX_REQUESTS = 3
MAX_ATTEMPTS = 9

NOT_DONE = 3


@dataclass(frozen=True)
class Work:
    """What a worker is told. `key` is the provider's, `caller` the one by which its job is found again."""

    folder: Path
    url: str
    key: str = "ours"
    caller: str = "nightly"
    strike: Strike | None = None
    cancels: bool = False
    recovers: bool = False
    """From folders, markers and the whole listing, before anything else."""
    deletes: bool = False
    """The remote files of what it has collected."""
    prunes: bool = False
    """When nothing is left to do."""
    clock: float = 0.0
    """Seconds that its clock is ahead."""
    seconds: float = 20.0
    provider: ProviderName = "openai"
    ledger_url: str | None = None
    host: int | None = None
    """On which host it runs; none: this one."""


def settings_of(work: Work) -> Settings:
    """The settings of a trial's processes."""
    return Settings.model_validate(
        {
            "OPENAI_API_KEY": f"{work.folder.name}-{work.key}",
            "OPENAI_BASE_URL": work.url,
            "ANTHROPIC_API_KEY": f"{work.folder.name}-{work.key}",
            "ANTHROPIC_BASE_URL": work.url.removesuffix("/v1"),
            "data_dir": work.folder,
            "ledger_url": work.ledger_url,
            "provider": work.provider,
            "create_wait_seconds": WAIT,
            "missing_recheck_seconds": 0.1,
            "max_requests": MAX_REQUESTS,
            "max_attempts": MAX_ATTEMPTS,
            "delete_remote_files": work.deletes,
        }
    )


def start(work: Work) -> int:
    """Forks a worker; gives its process id."""
    return fork(lambda: _run(work), work.folder / "crashes")


def struck(folder: Path) -> list[tuple[str, str]]:
    """How and where processes were struck."""
    return [(path.read_text(), path.suffix[1:]) for path in sorted(folder.glob("struck/*"))]


def _run(work: Work) -> int:
    signal.alarm(HUNG)
    if work.host is not None:
        hosts.enter(work.host)
    logging.basicConfig(filename=work.folder / f"log-{os.getpid()}", level=logging.INFO)
    settle.PASSING_WAIT = 0.3
    if work.clock:
        _shift_clock(work.clock)
    reach = _Reach(work)
    points.hook = reach
    wire.watch(lambda: reach.last)
    pipeline = Pipeline(settings_of(work))
    try:
        return 0 if _turns(pipeline, work) else NOT_DONE
    finally:
        pipeline.close()


def _shift_clock(seconds: float) -> None:
    real = time.time
    time.time = lambda: real() + seconds


class _Reach:
    """Counts points, and strikes this process at the one that was ordered."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._count = 0
        self.last = ""

    def __call__(self, point: str) -> None:
        self.last = point
        strike = self._work.strike
        if strike is None or strike.point not in (point, ANY):
            return
        self._count += 1
        if self._count == strike.nth:
            folder = self._work.folder / "struck"
            folder.mkdir(exist_ok=True)
            (folder / f"{time.monotonic_ns()}.{strike.how}").write_text(point)
            os.kill(os.getpid(), signal.SIGKILL if strike.how == "kill" else signal.SIGSTOP)


def _turns(pipeline: Pipeline, work: Work) -> bool:
    """True once nothing is left to do."""
    deadline = time.monotonic() + work.seconds
    planned = False
    if work.recovers:
        _told(work, lambda: _recover(pipeline))
    while time.monotonic() < deadline:
        told = _told(work, lambda: _plan(pipeline, work)) if not planned else None
        planned = planned or told is None
        for root_job_id in _open_jobs(pipeline):
            _told(work, lambda root=root_job_id: _turn(pipeline, root))
        if planned and not _open_jobs(pipeline):
            if work.prunes:
                prune(pipeline, older_than_days=0)
            return True
        time.sleep(BETWEEN_TURNS)
    return False


def _plan(pipeline: Pipeline, work: Work) -> None:
    job = plan(pipeline, Order(mood, key=work.caller))
    if work.cancels and job.records:
        _turn(pipeline, job.job_id)
        cancel(pipeline, job.job_id)


def _recover(pipeline: Pipeline) -> None:
    recover_all(pipeline, "openai")


def _turn(pipeline: Pipeline, root_job_id: str) -> None:
    turn = take_turn(pipeline, root_job_id)
    if turn.stopped is not None:
        raise turn.stopped


def _open_jobs(pipeline: Pipeline) -> list[str]:
    try:
        with pipeline.ledger.read() as db:
            return list(dict.fromkeys(job.root_job_id for job in jobs.not_closed(db)))
    except LedgerReplaced:
        return _open_jobs(pipeline)
    except LedgerUnavailable:
        time.sleep(BETWEEN_TURNS)
        return _open_jobs(pipeline)


def _told(work: Work, step: Callable[[], None]) -> str | None:
    """Does the step; gives what a person would be told if it can't be done now."""
    try:
        step()
    except PipelineError as error:
        logging.getLogger("chaos").info("%s: %s", work.caller, error)
        return str(error)
    return None
