"""How far a wait is: a bar in a terminal, lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from batch_pipeline.batches.status import JobStatus


@contextmanager
def progress(*, as_json: bool) -> Generator[Callable[[JobStatus], None]]:
    """What to call with each new status; JSON keeps stdout for itself, so progress goes to stderr then."""
    stream = sys.stderr if as_json else sys.stdout
    if stream.isatty():
        with _bar(stream) as told:
            yield told
    else:
        yield _Lines(stream)


def requests_done(status: JobStatus) -> tuple[int, int]:
    """Requests that the provider is through with, of all that were sent."""
    return sum(batch.completed for batch in status.batches), sum(batch.total for batch in status.batches)


def _state(status: JobStatus) -> str:
    waits = f", {status.waits_for}" if status.waits_for else ""
    return status.state.replace("_", " ") + waits


class _Lines:
    """A line whenever something changed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def __call__(self, status: JobStatus) -> None:
        done, total = requests_done(status)
        line = f"Completed: {done:,}/{total:,} ({_state(status)})"
        if line != self._last:
            print(line, file=self._stream, flush=True)
            self._last = line


@contextmanager
def _bar(stream: TextIO) -> Generator[Callable[[JobStatus], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(file=stream), transient=True) as shown:
        bar = shown.add_task("")

        def told(status: JobStatus) -> None:
            done, total = requests_done(status)
            shown.update(bar, completed=done, total=total, description=_state(status))

        yield told
