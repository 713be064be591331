"""Plans the orders that are kept, in threads of the server, so many at once, the oldest first.

An order that can't be planned for the moment stays kept, and is planned by a later round of any process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from batch_pipeline.api.worker import make_way
from batch_pipeline.batches.kept_orders import kept_orders, plan_kept
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.turn import send
from batch_pipeline.errors import PipelineError
from batch_pipeline.ledger import jobs

log = logging.getLogger(__name__)

PLANS_AT_ONCE = 2
SHORT = 8
"""So many orders in the line are planned within a second or so."""


class Planning:
    """The line of orders that are kept and not planned yet.

    Args:
        pipeline: The pipeline; shared with the requests.
        planned: Told the id of each job that was planned; None where nobody sends here.
        urgent: Whether somebody waits for an answer: a plan can wait for a moment.
    """

    def __init__(
        self, pipeline: Pipeline, planned: Callable[[str], None] | None, urgent: Callable[[], bool] = lambda: False
    ) -> None:
        self._pipeline = pipeline
        self._urgent = urgent
        self._stopped = threading.Event()
        self._planned = planned
        self._lock = threading.Lock()
        self._line: dict[str, Future[None]] = {}
        self._planners = ThreadPoolExecutor(PLANS_AT_ONCE, "plans")
        self._at_once = ThreadPoolExecutor(1, "realtime")

    def start(self) -> None:
        """Begins, with what a server that was killed has kept and not planned."""
        for job_id in kept_orders(self._pipeline):
            self.plan(job_id)

    def plan(self, job_id: str) -> Future[None]:
        """Puts a job into the line; done when it is planned, or was tried in vain."""
        with self._lock:
            if (waits := self._line.get(job_id)) is None:
                waits = self._line[job_id] = self._planners.submit(self._plan, job_id)
                waits.add_done_callback(lambda _: self._through(job_id))
        return waits

    @property
    def is_short(self) -> bool:
        """Whether it is worth waiting for the end of the line."""
        return len(self._line) <= SHORT

    def stop(self) -> None:
        """Ends after what is under way; what is left stays kept."""
        self._stopped.set()
        self._planners.shutdown(cancel_futures=True)
        self._at_once.shutdown(cancel_futures=True)

    def _plan(self, job_id: str) -> None:
        make_way(self._urgent, self._stopped)
        try:
            plan_kept(self._pipeline, job_id)
        except Exception as error:  # noqa: BLE001 - it stays kept, and the others go on
            told = error if isinstance(error, PipelineError) else type(error).__name__
            log.warning("%s is not planned yet: %s", job_id, told)
            return
        if self._planned is None:
            return
        with self._pipeline.ledger.read() as db:
            job = jobs.get(db, job_id)
        if job.at_once and job.records:
            self._at_once.submit(self._answer, job)
        else:
            self._planned(job_id)

    def _answer(self, job: jobs.Job) -> None:
        """A job that is answered at once keeps no batch waiting; what is left of it is the worker's."""
        try:
            send(self._pipeline, job)
        except Exception as error:
            log.warning("%s is not answered yet", job.job_id, exc_info=error)

    def _through(self, job_id: str) -> None:
        with self._lock:
            self._line.pop(job_id, None)
