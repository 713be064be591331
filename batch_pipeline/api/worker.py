"""The server's worker: a thread that takes rounds, and sends, polls and collects what was asked for.

It keeps nothing that the ledger does not: whatever is killed, the next round of any process goes on from there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.rounds import take_round
from batch_pipeline.ledger import jobs

ORIGIN = "rest"
"""In a job's metadata: it was asked for here."""

log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""Between two rounds; how often a provider is listed is another matter."""

MAKE_WAY_SECONDS = 2.0
"""How long the worker lets clients go before each of its steps; it goes on then, however many they are."""


def make_way(urgent: Callable[[], bool], stopped: threading.Event) -> None:
    """Waits as long as something is urgent, and no longer than `MAKE_WAY_SECONDS`."""
    until = time.monotonic() + MAKE_WAY_SECONDS
    while urgent() and time.monotonic() < until:
        if stopped.wait(0.02):
            return


class Worker:
    """Takes rounds until it is stopped.

    Args:
        pipeline: The pipeline; shared with the requests.
        urgent: Whether somebody waits for an answer: batches take a day, and clients a few seconds.
    """

    def __init__(self, pipeline: Pipeline, urgent: Callable[[], bool] = lambda: False) -> None:
        self._pipeline = pipeline
        self._urgent = urgent
        self._fresh = list[str]()
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)

    def start(self) -> None:
        """Begins, with what a server that was killed has planned and not sent."""
        with self._pipeline.ledger.read() as db:
            self._fresh += [job.job_id for job in jobs.not_closed(db) if job.metadata.get("origin") == ORIGIN]
        self._thread.start()

    def wake(self, *fresh: str) -> None:
        """There is something to do now; these jobs were just planned."""
        with self._lock:
            self._fresh += fresh
        self._woken.set()

    def stop(self, seconds: float) -> None:
        """Ends after the round that is under way; one that takes longer than that dies with the process."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        """Whether it works."""
        return self._thread.is_alive()

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            with self._lock:
                fresh, self._fresh = self._fresh, []
            try:
                take_round(self._pipeline, fresh, make_way=lambda: make_way(self._urgent, self._stopped))
            except Exception:
                log.exception("a round failed; the next one goes on")
            self._woken.wait(PAUSE_SECONDS)
