"""Where a run stands, what it cost, and what it would come to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from batch_pipeline.batches.standing.status import FINAL, JobStatus

_FIRST = ("in_flight", "held", "planned", "planning", "ended")
"""The states that a run is told in as long as one of its jobs is not through."""


@dataclass(frozen=True)
class RunStatus:
    """A run: its jobs with their attempts. `outcomes` are items by their latest outcome; money is USD.

    `completed` of `total` requests, as the provider last said.
    """

    name: str
    state: str
    items: int
    outcomes: Mapping[str, int]
    completed: int
    total: int
    batches: int
    estimated_cost_usd: float
    cost_usd: float
    waits_for: str | None
    seconds: float
    """Since it was first submitted."""
    jobs: Sequence[JobStatus] = field(repr=False)
    canaries: Sequence[JobStatus] = field(default=(), repr=False)
    """The jobs over first items that go before those; what they cost is part of the cost."""

    @property
    def answered(self) -> int:
        """Items with an answer."""
        return self.outcomes.get("answered", 0)

    @property
    def final(self) -> bool:
        """Nothing more will happen by itself."""
        return all(job.final or job.stopped for job in self.jobs)

    def __str__(self) -> str:
        waits = f" ({self.waits_for})" if self.waits_for else ""
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in self.outcomes.items()) or "nothing yet"
        return f"{self.name}: {self.state.replace('_', ' ')}{waits}; {self.items:,} items, {told}; ${self.cost_usd:.6g}"


def status_of(name: str, items: int, jobs: Sequence[JobStatus], canaries: Sequence[JobStatus] = ()) -> RunStatus:
    """A run's jobs, put together."""
    paid = [*canaries, *jobs]
    outcomes: Counter[str] = Counter()
    for job in jobs:
        outcomes.update(job.outcomes)
    batches = [batch for job in paid for batch in job.batches]
    return RunStatus(
        name=name,
        state=_state(jobs),
        items=items,
        outcomes=dict(sorted(outcomes.items())),
        completed=sum(batch.completed for batch in batches),
        total=sum(batch.total for batch in batches),
        batches=len(batches),
        estimated_cost_usd=sum(job.estimated_cost_usd for job in paid),
        cost_usd=sum(job.cost_usd for job in paid),
        waits_for=next((job.waits_for for job in jobs if job.waits_for), None),
        seconds=time.time() - min((job.created_at for job in jobs), default=time.time()),
        jobs=jobs,
        canaries=canaries,
    )


def _state(jobs: Sequence[JobStatus]) -> str:
    states = [job.state for job in jobs]
    going = [state for state in _FIRST if state in states]
    if going:
        return going[0]
    ended = {state for state in states if state in FINAL}
    return "cancelled" if "cancelled" in ended else "done" if "done" in ended else "failed"


@dataclass(frozen=True)
class RunCost:
    """What a run cost so far, and would have cost otherwise, in USD; of `local`, the others are those of `PRICE_AS`."""

    paid_usd: float
    estimated_usd: float
    batch_usd: float
    realtime_usd: float
    input_tokens: int
    output_tokens: int
    answered: int

    @property
    def saved_usd(self) -> float:
        """What batch saves against realtime."""
        return self.realtime_usd - self.batch_usd

    @property
    def per_answer_usd(self) -> float:
        """The price of one answer; of `local`, what it would be in batch."""
        return (self.paid_usd or self.batch_usd) / self.answered if self.answered else 0.0


@dataclass(frozen=True)
class DryRun:
    """What a submission would come to, as things are now; money is USD.

    `new` items were never asked in this batch; of these, `reused` get an answer that was bought before, `waiting` one
    that another job has in flight.
    """

    name: str
    items: int
    new: int
    requests: int
    reused: int
    waiting: int
    given_up: int
    jobs: int
    batches: int
    input_tokens: int
    estimated_cost_usd: float
    worst_cost_usd: float
    batch_usd: float
    realtime_usd: float

    @property
    def saved_usd(self) -> float:
        """What batch saves against realtime."""
        return self.realtime_usd - self.batch_usd
