"""How far a run is: a bar in a terminal or a notebook, a line of the log elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Protocol, cast

from batch_pipeline.notebook.standing import RunStatus

Told = Callable[[RunStatus], None]

log = logging.getLogger(__name__)


@contextmanager
def shown(name: str, *, wanted: bool | None) -> Generator[Told]:
    """What to call with each status; `wanted` shows a bar, or none, whatever stdout is."""
    if wanted is None:
        wanted = _in_notebook() or sys.stdout.isatty()
    if not wanted:
        yield _Lines()
    elif _in_notebook():
        yield _Cell()
    else:
        with _bar(name) as told:
            yield told


def doing(now: RunStatus) -> str:
    """What is going on, in words."""
    waits = f", {now.waits_for}" if now.waits_for else ""
    return f"{now.state.replace('_', ' ')}{waits}, ${now.cost_usd:.6g}"


class _Lines:
    """A line of the log whenever something changed."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, now: RunStatus) -> None:
        line = f"{now.name}: completed {now.completed:,}/{now.total:,} ({doing(now)})"
        if line != self._last:
            log.info("%s", line)
            self._last = line


@contextmanager
def _bar(name: str) -> Generator[Told]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.fields[batch]}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}", markup=False)) as progress:
        bar = progress.add_task("", batch=name)
        yield lambda now: progress.update(bar, completed=now.completed, total=now.total, description=doing(now))


class _Display(Protocol):
    """What `IPython.display.display` gives back, where it is given an id."""

    def update(self, obj: object) -> None: ...


class _Cell:
    """A bar of the browser's own, in the output of a notebook's cell; nothing has to be installed for it."""

    def __init__(self) -> None:
        self._display: _Display | None = None

    def __call__(self, now: RunStatus) -> None:
        if self._display is None:
            show = cast("Callable[..., _Display]", import_module("IPython.display").display)
            self._display = show(Progressed(now), display_id=True)
        else:
            self._display.update(Progressed(now))


class Progressed:
    """A status as a notebook shows it: a bar, and text where it shows no HTML."""

    def __init__(self, now: RunStatus) -> None:
        self._now = now

    def __repr__(self) -> str:
        return f"{self._now.name}: {self._now.completed:,}/{self._now.total:,} ({doing(self._now)})"

    def _repr_html_(self) -> str:
        now = self._now
        bar = f'<progress value="{now.completed}" max="{max(1, now.total)}"></progress>'
        return f"{escape(now.name)} {bar} {now.completed:,}/{now.total:,} {escape(doing(now))}"


def _in_notebook() -> bool:
    """Whether a kernel runs this; IPython in a terminal has none."""
    ipython = sys.modules.get("IPython")
    shell = cast("Callable[[], object]", ipython.get_ipython)() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
