"""Keeps orders, all that wait with one transaction: two hundred clients wait for one, and not for two hundred."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import anyio.to_thread

from batch_pipeline.api import orders
from batch_pipeline.api.known_right import KnownRight
from batch_pipeline.api.models import CreateBatch
from batch_pipeline.api.problems import Refused
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger.jobs import Job

MOST_WAITING = 1_000
"""Orders that wait to be kept; more are asked to come again."""
MOST_TOGETHER = 100
"""Orders of one transaction."""


class _Waiting(NamedTuple):
    asked: CreateBatch
    key: str | None
    kept: asyncio.Future[Job]


class Keeper:
    """The line of orders that are not kept yet.

    Args:
        pipeline: The pipeline; shared with the requests.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._known_right = KnownRight(pipeline)
        self._line = list[_Waiting]()
        self._at_work: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether somebody waits."""
        return self._at_work is not None

    async def keep(self, asked: CreateBatch, key: str | None) -> Job:
        """Keeps what is asked for as a job that is to be planned; it is in the ledger then.

        Raises:
            Refused: The key was used for something else; the line is too long.
            PipelineError: As `orders.wanted`.
        """
        if len(self._line) >= MOST_WAITING:
            raise Refused(503, "busy", f"{len(self._line):,} orders wait to be kept already. Try again.")
        waiting = _Waiting(asked, key, asyncio.get_running_loop().create_future())
        self._line.append(waiting)
        if self._at_work is None:
            self._at_work = asyncio.create_task(self._work())
        return await waiting.kept

    async def _work(self) -> None:
        while self._line:
            some, self._line = self._line[:MOST_TOGETHER], self._line[MOST_TOGETHER:]
            try:
                found = await anyio.to_thread.run_sync(partial(self._keep, some))
            except Exception as error:  # noqa: BLE001 - of the ledger: everybody is told
                found = [error] * len(some)
            for waiting, kept in zip(some, found, strict=True):
                if waiting.kept.done():  # its client went away
                    continue
                if isinstance(kept, Job):
                    waiting.kept.set_result(kept)
                else:
                    waiting.kept.set_exception(kept)
        self._at_work = None

    def _keep(self, some: Sequence[_Waiting]) -> list[Job | Exception]:
        """Each one's job, or why there is none."""
        found: list[orders.Wanted | Exception] = [self._wanted(waiting) for waiting in some]
        if all(isinstance(each, Exception) for each in found):
            return [each for each in found if isinstance(each, Exception)]
        kept: list[Job | Exception] = []
        with self._pipeline.ledger.begin() as db:
            for each in found:
                try:
                    kept.append(each if isinstance(each, Exception) else orders.keep(self._pipeline, db, each))
                except Refused as refused:
                    kept.append(refused)
        return kept

    def _wanted(self, waiting: _Waiting) -> orders.Wanted | Exception:
        try:
            return orders.wanted(self._pipeline, self._known_right, waiting.asked, waiting.key)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one order, the others are kept
            return error
