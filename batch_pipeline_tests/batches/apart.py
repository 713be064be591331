"""Steps in processes of their own: with another clock, or killed where a step says so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial

from batch_pipeline.batches import points
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import status
from batch_pipeline.batches.turn import submit_job, take_turn
from batch_pipeline.settings import Settings
from batch_pipeline_tests.chaos import wire
from batch_pipeline_tests.processes import processes

BETWEEN_TURNS = 0.05


def apart(step: Callable[[], None]) -> int:
    """Runs it in a process of its own, and gives the code that it ended with."""
    process = processes.Process(target=step)
    process.start()
    process.join(100)
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def killed_at(point: str, step: Callable[[], object]) -> None:
    """Runs it in a process of its own, which is killed when it comes to the point."""
    assert apart(partial(_die_at, point, step)) == -signal.SIGKILL


def submitted(settings: Settings, job_id: str) -> None:
    """Submits, whatever comes of it."""
    submit_job(Pipeline(settings), job_id)


def turns(settings: Settings, job_id: str, seconds: float, clock: float = 0.0) -> None:
    """Takes turns until the job is through, or for so long; the process's clock is so many seconds ahead."""
    deadline = time.monotonic() + seconds
    _step_clock(clock)
    pipeline = Pipeline(settings)
    while time.monotonic() < deadline and not status(pipeline, job_id).final:
        take_turn(pipeline, job_id)
        time.sleep(BETWEEN_TURNS)  # what others do goes on meanwhile
    pipeline.close()


def _step_clock(seconds: float) -> None:
    real = time.time
    time.time = lambda: real() + seconds


def _die_at(point: str, step: Callable[[], object]) -> None:
    def die(reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    points.hook = die
    wire.watch(lambda: "")
    step()
