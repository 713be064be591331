"""How a batch lives here: validating → in_progress → finalizing → completed, or one of its other ends.

One task a batch, on the event loop; what takes long goes to threads. Each move is written down before the next step
begins, and each step may be begun again: a server that is started on the state of a killed one goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from batch_pipeline.local_server import validation
from batch_pipeline.local_server.engines.base import Engine, Request
from batch_pipeline.local_server.faults import Azure, Expire, FilesLate, Slow, TokenLimit, ValidationFault, chosen
from batch_pipeline.local_server.messages.results import write_results
from batch_pipeline.local_server.publication import publish
from batch_pipeline.local_server.records import BatchRecord
from batch_pipeline.local_server.rowfaults import RowFaults
from batch_pipeline.local_server.rows import InputLines, RowFiles
from batch_pipeline.local_server.store import Store
from batch_pipeline.local_server.validation import Verdict
from batch_pipeline.wire.batch import BatchError, BatchErrors, BatchStatus, RequestCounts
from batch_pipeline.wire.messages import MESSAGES

log = logging.getLogger(__name__)

VALIDATED, EXECUTED = 0.1, 0.9
"""Shares of `--seconds` at which a batch leaves validation, and has executed its lines."""

SAVE_EVERY = 0.2
"""Seconds between two notes of a batch's progress: often enough for a progress bar, too seldom to cost anything."""


class Batches:
    """The batches that are running; one object a server."""

    def __init__(
        self, store: Store, engine: Engine, seconds: float | None, moved: Callable[[BatchRecord], None]
    ) -> None:
        self._store = store
        self._engine = engine
        self._seconds = seconds
        self._moved = moved
        self._running: dict[str, tuple[BatchLife, asyncio.Task[None]]] = {}

    def resume(self) -> None:
        """Goes on with what an earlier server left."""
        for record in self._store.running_batches():
            self.begin(record)

    def begin(self, record: BatchRecord) -> None:
        """Lets a batch live."""
        life = BatchLife(record, self._store, self._engine, self._seconds, self._moved)
        task = asyncio.create_task(life.live(), name=record.id)
        self._running[record.id] = (life, task)
        task.add_done_callback(partial(self._ended, record.id))

    def record(self, batch_id: str) -> BatchRecord | None:
        """The record of a running batch, newer than what is written down."""
        running = self._running.get(batch_id)
        return running[0].record if running else None

    def input_of(self, batch_id: str) -> Path:
        """Where the lines of a batch lie while it runs."""
        return self._store.running / f"{batch_id}.input"

    def cancel(self, record: BatchRecord) -> None:
        """Asks a batch that has not ended to come to its end, one whose task has failed too."""
        if record.id not in self._running:
            self.begin(record)
        self._running[record.id][0].cancel()

    async def close(self, patience: float) -> None:
        """Stops all where they are; what is being answered may still come in for so many seconds."""
        for life, _ in self._running.values():
            life.stop()
        tasks = [task for _, task in self._running.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, batch_id: str, task: asyncio.Task[None]) -> None:
        self._running.pop(batch_id, None)
        if not task.cancelled() and (error := task.exception()):
            log.error("batch %s stopped and goes on when the server is started again", batch_id, exc_info=error)


class BatchLife:
    """One batch from where it stands to its end."""

    def __init__(
        self,
        record: BatchRecord,
        store: Store,
        engine: Engine,
        seconds: float | None,
        moved: Callable[[BatchRecord], None],
    ) -> None:
        self.record = record
        self._store = store
        self._engine = engine
        self._seconds = seconds
        self._moved = moved
        """Told of each move, when it is written down."""
        self._interrupted = asyncio.Event()
        """The client or the server wants no more."""
        self._stopped = asyncio.Event()
        """The server ends."""
        self._saved = 0.0
        self._input, self._output, self._errors, self._results = (
            store.running / f"{record.id}.{part}" for part in ("input", "output", "errors", "results")
        )

    async def live(self) -> None:
        """From where it stands to its end, or to `stop`."""
        if self.record.object.status == "validating":
            await self._validate()
        if self.record.object.status == "in_progress":
            await self._execute()
        if self.record.object.status == "finalizing":
            await self._finalize("completed")
        if self.record.object.status == "cancelling":
            await self._end_early("cancelled", "batch_cancelled")

    def cancel(self) -> None:
        """The client wants no more; what is being answered still comes in."""
        self._move("cancelling")
        self._interrupted.set()

    def stop(self) -> None:
        """The server ends; the batch stays as it is."""
        self._stopped.set()
        self._interrupted.set()

    # --- validating ---

    async def _validate(self) -> None:
        record = self.record
        verdict = await self._verdict()
        await self._linger("validating", VALIDATED)
        if self._stopped.is_set() or record.object.status != "validating":
            return
        record.object.model = verdict.model
        record.tokens = verdict.tokens
        if not verdict.errors and (error := self._over_limit(verdict)):
            verdict.errors.append(error)
        if verdict.errors:
            self._fail(verdict)
            return
        record.object.request_counts = RequestCounts(total=verdict.lines)
        self._move("in_progress")

    async def _verdict(self) -> Verdict:
        shown = self.record.object
        if fault := chosen(self.record.faults, ValidationFault):
            return Verdict(errors=[validation.as_ordered(error) for error in fault.errors])
        found = self._store.file(self.record.account, shown.input_file_id)
        if not self._input.exists() and (found is None or found.object.purpose != "batch"):
            return Verdict(errors=[validation.cannot_find_file(shown.input_file_id)])
        if not self._input.exists():
            # From here on the batch has its input, whatever becomes of the file.
            os.link(self._store.path_of(shown.input_file_id), self._input)
        return await asyncio.to_thread(validation.validate_input, self._input, shown.endpoint)

    def _over_limit(self, verdict: Verdict) -> BatchError | None:
        fault, model = chosen(self.record.faults, TokenLimit), verdict.model or ""
        if fault is None or not fnmatchcase(model, fault.model):
            return None
        queued = self._store.queued_tokens(self.record) + verdict.tokens
        return validation.token_limit_exceeded(model, fault.limit) if queued > fault.limit else None

    def _fail(self, verdict: Verdict) -> None:
        errors = map(validation.as_azure_says, verdict.errors) if self._azure else verdict.errors
        self.record.object.errors = BatchErrors(data=list(errors))
        self._move("failed")
        self._input.unlink(missing_ok=True)

    # --- in progress ---

    async def _execute(self) -> None:
        with await asyncio.to_thread(RowFiles, self._output, self._errors, self.record.object.endpoint) as rows:
            lines, faults = InputLines(self._input, without=rows.there), RowFaults(self.record.faults)
            try:
                async with aclosing(self._chunks(lines, rows, faults)) as chunks:
                    async for answers in self._engine.answer(chunks):
                        await asyncio.to_thread(rows.write, faults.damaged(answers))
                        self._count(rows)
            finally:
                lines.close()
                self._count(rows, at_once=True)
        if self._stopped.is_set() or self.record.object.status != "in_progress":
            return
        if rows.progress.executed < self._total and self._expired(rows):
            await self._end_early("expired", "batch_expired")
            return
        await self._linger("in_progress", EXECUTED)
        if not self._stopped.is_set() and self.record.object.status == "in_progress":
            self._move("finalizing")

    async def _chunks(self, lines: InputLines, rows: RowFiles, faults: RowFaults) -> AsyncGenerator[Sequence[Request]]:
        """The requests that are to be executed; those that were ordered to fail are answered here."""
        given = rows.progress.executed
        while not self._interrupted.is_set() and not self._expired(rows):
            size = min(self._portion(), self._allowed() - given)
            requests = await asyncio.to_thread(lines.next, size) if size > 0 else []
            if not requests:
                return
            if self._seconds is not None:
                await self._wait_for(VALIDATED + (EXECUTED - VALIDATED) * given / self._total)
                if self._interrupted.is_set():
                    return
            given += len(requests)
            if faults:
                requests, answers = faults.divide(requests)
                rows.write(answers)
                self._count(rows)
            if requests:
                yield requests

    @property
    def _azure(self) -> bool:
        return chosen(self.record.faults, Azure) is not None

    @property
    def _total(self) -> int:
        counts = self.record.object.request_counts
        return counts.total if counts else 0

    def _portion(self) -> int:
        """Lines to hand over at once: small enough for counts to climb while the batch is made to last."""
        return self._engine.chunk if self._seconds is None else min(self._engine.chunk, max(1, self._total // 100))

    def _allowed(self) -> int:
        expire = chosen(self.record.faults, Expire)
        return self._total if expire is None else min(self._total, expire.after)

    def _expired(self, rows: RowFiles) -> bool:
        window_over = time.time() >= (self.record.object.expires_at or float("inf"))
        return window_over or (rows.progress.executed >= self._allowed() < self._total)

    def _count(self, rows: RowFiles, *, at_once: bool = False) -> None:
        shown, progress = self.record.object, rows.progress
        shown.request_counts = RequestCounts(total=self._total, completed=progress.completed, failed=progress.failed)
        shown.usage = progress.usage()
        if at_once or time.monotonic() - self._saved > SAVE_EVERY:
            self._saved = time.monotonic()
            with self._store.together():
                self._store.save_batch(self.record)
                self._store.book_lines(self.record.id, progress.executed, progress.inputs, shown.usage)

    # --- the ends ---

    async def _end_early(self, status: BatchStatus, code: str) -> None:
        if self._total:  # nothing was to be executed yet if it was cancelled while it was validated
            await asyncio.to_thread(self._write_unexecuted, code)
        await self._finalize(status)

    def _write_unexecuted(self, code: str) -> None:
        with RowFiles(self._output, self._errors, self.record.object.endpoint) as rows:
            lines = InputLines(self._input, without=rows.there)
            try:
                while requests := lines.next(1000):
                    rows.write_unexecuted([request.custom_id for request in requests], code)
            finally:
                lines.close()

    async def _finalize(self, status: BatchStatus) -> None:
        shown, before = self.record.object, self.record.object.status
        await self._linger("cancelling" if before == "cancelling" else "finalizing", 1.0)
        if self._stopped.is_set():
            return
        output, errors = self._output, self._errors
        if shown.endpoint == MESSAGES:  # all of its rows are in one file
            await asyncio.to_thread(write_results, (output, errors), self._results)
            output, errors = self._results, self._results.with_suffix(".none")
        made = [
            await asyncio.to_thread(publish, path, suffix, self.record, self._store) if path.exists() else None
            for suffix, path in (("output", output), ("errors", errors))
        ]
        if shown.status != before:  # cancelled meanwhile; what was made is nobody's, and swept away
            return
        with self._store.together():
            for file in filter(None, made):
                self._store.add_file(file)
            shown.output_file_id, shown.error_file_id = (file and file.object.id for file in made)
            late = chosen(self.record.faults, FilesLate)
            self.record.files_at = time.time() + late.seconds if late else 0.0
            self._move(status)
        for path in (self._input, self._output, self._errors, self._results):
            path.unlink(missing_ok=True)

    # --- time ---

    async def _linger(self, stage: str, share: float) -> None:
        """Stays in a stage until its share of the time is over, and longer where that was ordered."""
        cancelling = stage == "cancelling"
        slow = next((f for f in self.record.faults if isinstance(f, Slow) and f.stage == stage), None)
        if not cancelling:
            await self._wait_for(share)
        if slow:
            await self._wait_until(time.time() + slow.seconds, self._stopped if cancelling else self._interrupted)

    async def _wait_for(self, share: float) -> None:
        await self._wait_until(self.record.created + share * (self._seconds or 0.0), self._interrupted)

    async def _wait_until(self, moment: float, unless: asyncio.Event) -> None:
        if (left := moment - time.time()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(unless.wait(), left)

    def _move(self, status: BatchStatus) -> None:
        self.record.move(status)
        self._store.save_batch(self.record)
        self._moved(self.record)
