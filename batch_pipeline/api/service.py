"""What the routes share: the pipeline, the worker, and how many of them may be at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import anyio.to_thread

from batch_pipeline.api.keeping import Keeper
from batch_pipeline.api.planning import Planning
from batch_pipeline.api.problems import Refused
from batch_pipeline.api.worker import Worker
from batch_pipeline.batches.pipeline import Pipeline

Result = TypeVar("Result")

LONG_AT_ONCE = 2
READS_AT_ONCE = 8
"""Together with these, the plans and the worker fewer than the ledger's connections, of which there are 15."""
MOST_WAITING = 1_000
"""Requests that wait for their turn; more are asked to come again."""


@dataclass
class Line:
    """Work that takes its turn in threads, so many at once; nobody is kept out of it for ever.

    Args:
        at_once: How many.
        most_waiting: How many may be in the line.
    """

    at_once: int
    most_waiting: int
    waiting: int = field(default=0, init=False)
    _limiter: anyio.CapacityLimiter | None = field(default=None, init=False)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Does it when its turn comes.

        Raises:
            Refused: The line is too long.
        """
        if self.waiting >= self.most_waiting:
            raise Refused(503, "busy", f"{self.waiting:,} requests wait for their turn already. Try again.")
        self._limiter = self._limiter or anyio.CapacityLimiter(self.at_once)
        self.waiting += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self.waiting -= 1


@dataclass
class Service:
    """One server's share of the chain. Without a worker, Dagster does its work."""

    pipeline: Pipeline
    worker: Worker | None
    planning: Planning
    keeper: Keeper
    line: Line
    """Of what takes as long as a plan."""

    def wake(self, *fresh: str) -> None:
        """There is something to do now."""
        if self.worker is not None:
            self.worker.wake(*fresh)
