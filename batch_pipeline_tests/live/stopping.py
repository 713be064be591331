"""Ctrl-C between two requests, never within one: the reply to a POST must not be lost to it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """The person wants no more."""


class Stop:
    """Whether the run is to end."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def wait(self, seconds: float) -> None:
        """Waits so long, or not at all.

        Raises:
            Interrupted: The run is to end.
        """
        if self._asked.wait(max(0.0, seconds)):
            raise Interrupted

    @contextmanager
    def at_signals(self) -> Generator[None]:
        """Inside, SIGINT and SIGTERM ask the run to end; the second one ends it on the spot."""
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()
