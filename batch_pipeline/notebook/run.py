"""`Run`: a batch that was submitted, to be waited for, read, cancelled and tried again."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from batch_pipeline.batches.cancel import cancel as ask_cancel
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.retry import retry as try_again
from batch_pipeline.batches.standing.report import comparison, price_threshold
from batch_pipeline.batches.standing.status import FINAL, status
from batch_pipeline.batches.turn import PATIENCE, send, submit_job, take_turn, with_canary
from batch_pipeline.errors import PipelineError, ProviderError, ProviderRefused, ProviderUnreachable
from batch_pipeline.ledger import jobs
from batch_pipeline.notebook import results as reading
from batch_pipeline.notebook.placing import LIMITED_SINCE, TIME_LIMIT, Placed
from batch_pipeline.notebook.progress import shown
from batch_pipeline.notebook.results import OPEN, ItemResult
from batch_pipeline.notebook.standing import RunCost, RunStatus, status_of
from batch_pipeline.tasks.task import Answer
from batch_pipeline.warehouse.figures import figures

if TYPE_CHECKING:
    import pandas as pd

    from batch_pipeline.ledger.jobs import Job

log = logging.getLogger(__name__)

LOCAL_SECONDS = 1.0
"""Between two looks at the local server; `POLL_SECONDS` at others."""


class Run:
    """A batch that was submitted. Made by `Batch.submit` and `Batch.resume`.

    The work is the provider's and the ledger's: a run holds no state of its own, and may be dropped at any time.
    """

    def __init__(
        self, pipeline: Pipeline, name: str, placed: Placed, *, answer: Answer | None, time_limit: float | None
    ) -> None:
        self.name = name
        self._pipeline = pipeline
        self._asked = placed.asked
        self._roots = [job.job_id for job in placed.jobs]
        self._answer = answer
        self._canaries = [job.canary for job in placed.jobs if job.canary]
        self._time_limit = time_limit or _kept(placed.jobs, TIME_LIMIT)
        made = min((job.created_at for job in placed.jobs), default=time.time())
        self._since = max(made, _kept(placed.jobs, LIMITED_SINCE) or made)
        self.close = weakref.finalize(self, pipeline.close)
        """Gives connections back; what is in flight stays so."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Run {self.status()}>"

    @property
    def jobs(self) -> Sequence[str]:
        """The ids of its jobs, as `batch-pipeline list` shows them."""
        return tuple(self._roots)

    @property
    def files(self) -> Sequence[Path]:
        """The folders of its jobs and their attempts: what was sent, and the provider's own words."""
        return tuple(self._pipeline.folder(job.job_id).path for chain in self._chains().values() for job in chain)

    @property
    def is_success(self) -> bool:
        """Whether every item has its answer."""
        return all(result.is_success for result in self.results())

    def status(self) -> RunStatus:
        """Where it stands, as the ledger knows it; `wait` asks the provider."""
        of_jobs, of_canaries = (
            [status(self._pipeline, root) for root in all_] for all_ in (self._roots, self._canaries)
        )
        return status_of(self.name, len(self._asked), of_jobs, of_canaries)

    def wait(
        self,
        timeout: float | None = None,
        *,
        on_progress: Callable[[RunStatus], None] | None = None,
        interval: float | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Sends, polls, collects and retries until all of it is done, cancelled or held.

        An interrupt stops the waiting only: the work goes on, and `wait` may be called again, here or elsewhere. What
        only a larger budget would send is not waited for.

        Args:
            timeout: Seconds, at most.
            on_progress: Called after each look.
            interval: Seconds between two looks; 1 for the local server, else `BATCH_PIPELINE_POLL_SECONDS`.
            progress: Whether a bar is shown; in a terminal or a notebook where it is None.

        Raises:
            TimeoutError: It takes longer; the work goes on.
            PipelineError: No further look would fare better: a refused key, a server that is not there.
        """
        until = None if timeout is None else time.monotonic() + timeout
        try:
            with shown(self.name, wanted=progress) as told:
                while not self._look(told, on_progress):
                    if until is not None and time.monotonic() >= until:
                        raise TimeoutError(
                            f"Batch `{self.name}` is not done after {timeout:g} s; the work goes on, and `wait` goes "
                            "on with it."
                        )
                    time.sleep(self._pause(interval, until))
        except KeyboardInterrupt:
            log.warning(
                "Stopped waiting for `%s`; the work goes on. Come back with Batch.resume(%r).", *[self.name] * 2
            )
            raise
        return self

    def send(self) -> None:
        """Sends what is planned, as far as it goes now; what is answered at once is answered here.

        Raises:
            PipelineError: The provider can't be reached, or refuses; what is planned is kept.
        """
        for root in self._open():
            with self._pipeline.ledger.read() as db:
                job = jobs.get(db, root)
            sent = send(self._pipeline, job)
            if sent.stopped:
                raise sent.stopped
            for batch_id, why in sent.not_yet.items():
                log.warning("%s is not submitted yet: %s", batch_id, why)

    def cancel(self) -> Self:
        """Cancels what is not done; what was answered is kept. `wait` sees it through."""
        for root in self._open():
            self._ask_cancel(root)
            self._turn(root)
        return self

    def retry(self) -> Self:
        """Sends again what has no answer: what failed, was refused, cancelled or lost. A time limit begins anew."""
        self._pipeline.must_be_enabled()
        self._since = time.time()
        with self._pipeline.ledger.begin() as db:
            for root in self._roots if self._time_limit is not None else ():
                jobs.note(db, root, {LIMITED_SINCE: self._since})
        for root in self._roots:
            attempt = try_again(self._pipeline, root, on_request=True)
            if attempt is not None and (stopped := submit_job(self._pipeline, attempt.job_id).stopped):
                raise stopped
        return self

    def results(self) -> list[ItemResult]:
        """One result an item, in the order in which they were added."""
        with self._pipeline.warehouse.read() as connection:
            return reading.results(connection, self._asked, self._chains(), self._answer)

    def failures(self) -> list[ItemResult]:
        """The items that have no answer, and why; those that may still be answered are not among them."""
        return [each for each in self.results() if not each.is_success and each.outcome not in OPEN]

    def answers(self) -> pd.DataFrame:
        """The answered items: `record_id`, and a column for each field of the answer, of its type."""
        with self._pipeline.warehouse.read() as connection:
            return reading.answers(connection, self.name, self._asked, self._chains())

    def cost(self) -> RunCost:
        """What it cost so far, and would have cost in realtime."""
        now, chains = self.status(), self._chains()
        with self._pipeline.ledger.read() as db:
            of_canaries = jobs.chains(db, self._canaries)
        paid = comparisons = None
        tokens_in = tokens_out = 0
        with self._pipeline.warehouse.read() as connection:
            for job in (*now.canaries, *now.jobs):
                threshold = price_threshold(self._pipeline, job.provider, job.model)
                ids = [each.job_id for each in chains.get(job.job_id, of_canaries.get(job.job_id, []))]
                found = figures(connection, {job.job_id: ids}, threshold)[job.job_id]
                tokens_in += sum(tokens.input_tokens for tokens in found.tokens)
                tokens_out += sum(tokens.output_tokens for tokens in found.tokens)
                paid = comparison(self._pipeline, job, found)
                comparisons = paid if comparisons is None else comparisons + paid
        return RunCost(
            paid_usd=now.cost_usd,
            estimated_usd=now.estimated_cost_usd,
            batch_usd=comparisons.batch_usd if comparisons else 0.0,
            realtime_usd=comparisons.realtime_usd if comparisons else 0.0,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            answered=now.answered,
        )

    def _look(self, told: Callable[[RunStatus], None], on_progress: Callable[[RunStatus], None] | None) -> bool:
        """Takes a turn for each job that is not through; whether there is nothing more to wait for."""
        if self._time_limit is not None and time.time() - self._since > self._time_limit:
            for root in self._open():
                self._ask_cancel(root)
        for root in self._open():
            self._turn(root)
        now = self.status()
        told(now)
        if on_progress is not None:
            on_progress(now)
        if any(job.stopped for job in now.jobs):
            log.warning("Batch `%s` was stopped by its canary: %s", self.name, now.waits_for)
        return now.final or self._stuck(now)

    def _ask_cancel(self, root: str) -> None:
        with self._pipeline.ledger.read() as db:
            both = with_canary(jobs.get(db, root))
        for job_id in both:
            ask_cancel(self._pipeline, job_id)

    def _stuck(self, now: RunStatus) -> bool:
        """Nothing is in flight, and what is planned waits for a person."""
        batches = [batch for job in now.jobs if not job.final for batch in job.batches]
        if any(batch.state in ("submitted", "ended", "sending") for batch in batches):
            return False
        self._pipeline.must_be_enabled()
        waiting = [batch for batch in batches if batch.state == "planned"]
        if not waiting or not all((batch.waits_for or "").startswith("budget: this job") for batch in waiting):
            return False
        log.warning(
            "Batch `%s` has come to its budget: %s. Submit it with a larger budget_usd.", self.name, now.waits_for
        )
        return True

    def _turn(self, root: str) -> None:
        """One turn; a provider that fails for a moment is asked again at the next look, `PATIENCE` times."""
        try:
            stopped: PipelineError | None = take_turn(self._pipeline, root).stopped
        except ProviderError as error:
            stopped = error
        self._failed = self._failed + 1 if stopped else 0
        if stopped and (self._failed >= PATIENCE * max(1, len(self._roots)) or not _passes(stopped)):
            raise stopped

    _failed = 0

    def _pause(self, interval: float | None, until: float | None) -> float:
        local = all(job.provider == "local" for job in self.status().jobs)
        pause = interval or (LOCAL_SECONDS if local else float(self._pipeline.settings.poll_seconds))
        if until is not None:
            pause = min(pause, until - time.monotonic())
        if self._time_limit is not None and (left := self._since + self._time_limit - time.time()) > 0:
            pause = min(pause, left)
        return max(0.0, pause)

    def _open(self) -> list[str]:
        return [root for root in self._roots if status(self._pipeline, root).state not in FINAL]

    def _chains(self) -> dict[str, list[Job]]:
        with self._pipeline.ledger.read() as db:
            return jobs.chains(db, self._roots)


def _kept(of_run: Sequence[Job], name: str) -> float | None:
    """What the newest of a run's jobs that has it keeps under that name."""
    found = [job.metadata[name] for job in sorted(of_run, key=lambda job: job.created_at) if name in job.metadata]
    return float(str(found[-1])) if found else None


def _passes(error: PipelineError) -> bool:
    return isinstance(error, ProviderUnreachable) or (isinstance(error, ProviderRefused) and error.status == 429)
