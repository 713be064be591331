"""How far something is: a bar in a terminal, lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from batch_pipeline.batches.standing.status import JobStatus

Told = Callable[[int, int, str], None]
"""Takes how many are done, of how many, and what is going on."""


@contextmanager
def progress(*, as_json: bool) -> Generator[Told]:
    """What to call when something changed; JSON keeps stdout for itself, so progress goes to stderr then."""
    stream = sys.stderr if as_json else sys.stdout
    if stream.isatty():
        with _bar(stream) as told:
            yield told
    else:
        yield _Lines(stream)


def tell_job(told: Told, status: JobStatus) -> None:
    """Tells how far a job is: requests that the provider is through with, of all that are sent.

    A job that sends none, because others ask the same, is told in records.
    """
    waits = f", {status.waits_for}" if status.waits_for else ""
    if not status.batches and not status.final:
        waits = waits or ", waiting for another job's answers"
    done = requests_done(status) if status.batches else (status.answered, status.records)
    told(*done, status.state.replace("_", " ") + waits)


def requests_done(status: JobStatus) -> tuple[int, int]:
    """Requests that the provider is through with, of all that were sent."""
    return sum(batch.completed for batch in status.batches), sum(batch.total for batch in status.batches)


class _Lines:
    """A line whenever something changed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def __call__(self, done: int, total: int, doing: str) -> None:
        line = f"Completed: {done:,}/{total:,} ({doing})"
        if line != self._last:
            print(line, file=self._stream, flush=True)
            self._last = line


@contextmanager
def _bar(stream: TextIO) -> Generator[Told]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(file=stream), transient=True) as shown:
        bar = shown.add_task("")
        yield lambda done, total, doing: shown.update(bar, completed=done, total=total, description=doing)
