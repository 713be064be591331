"""Requests asked at once, a few at a time, by threads; what comes is handed over in the caller's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

from batch_pipeline.providers import Provider

LOOK_SECONDS = 1.0
"""How often the caller is asked whether to stop."""
LAST_SECONDS = 2.0
"""How long answers are still taken when the process is to end: they are paid for."""


class Asking:
    """Asks line by line.

    Args:
        provider: Who answers.
        concurrency: Requests on their way at once, at most.
        flex: Whether by flex processing.
    """

    def __init__(self, provider: Provider, concurrency: int, *, flex: bool) -> None:
        self._provider = provider
        self._concurrency = concurrency
        self._flex = flex
        self._came: SimpleQueue[bytes | Exception | None] = SimpleQueue()
        self._next = threading.Lock()
        self._stop = threading.Event()
        self._at_work = 0
        self._failure: Exception | None = None

    def ask(self, lines: Iterator[bytes], take: Callable[[bytes], None], must_stop: Callable[[], bool]) -> bool:
        """Asks them all; `take` gets each line that comes, in no order.

        Returns:
            Whether `must_stop`, asked every second, said so; what was on its way then has been taken too.

        Raises:
            ProviderError: As `Provider.answer`; what was on its way has been taken.
        """
        stopped, looked = must_stop(), time.monotonic()
        if stopped:
            return True
        self._begin(lines)
        try:
            while self._at_work:
                self._take(take, LOOK_SECONDS)
                if time.monotonic() - looked >= LOOK_SECONDS:
                    stopped, looked = stopped or must_stop(), time.monotonic()
                    if stopped:
                        self._stop.set()
        except BaseException:  # the process is to end: its threads end with it, and what they have not got is lost
            self._take_last(take)
            raise
        if self._failure is not None:
            raise self._failure
        return stopped

    def _begin(self, lines: Iterator[bytes]) -> None:
        self._at_work = self._concurrency
        for _ in range(self._concurrency):
            threading.Thread(target=self._work, args=[lines], daemon=True).start()

    def _work(self, lines: Iterator[bytes]) -> None:
        try:
            while not self._stop.is_set():
                with self._next:
                    line = next(lines, None)
                if line is None:
                    break
                self._came.put(self._provider.answer(line, flex=self._flex))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller's thread is to raise it
            self._stop.set()
            self._came.put(error)
        self._came.put(None)

    def _take(self, take: Callable[[bytes], None], seconds: float) -> None:
        try:
            came = self._came.get(timeout=seconds)
        except Empty:
            return
        if isinstance(came, bytes):
            take(came)
        elif came is None:
            self._at_work -= 1
        else:
            self._failure = self._failure or came

    def _take_last(self, take: Callable[[bytes], None]) -> None:
        self._stop.set()
        until = time.monotonic() + LAST_SECONDS
        while self._at_work and (left := until - time.monotonic()) > 0:
            self._take(take, left)
