"""How long a job will take: the queue simulated a number of times, each time with other latencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from batch_pipeline.batches.requests.request_files import Limits
from batch_pipeline.batches.simulation.accounts import Account
from batch_pipeline.batches.simulation.latency import WINDOW_SECONDS, Latency
from batch_pipeline.batches.simulation.own import Pace
from batch_pipeline.batches.simulation.queue import HOUR, Flight, Queue, collected, fly
from batch_pipeline.batches.simulation.work import Batch, Work

EVENTS = 300_000
"""Batches simulated in all runs together: what a few seconds allow."""
MOST_BATCHES = 200_000
"""Of one run. Of more, the first so many are simulated, and the rest is taken to go on at the same pace."""

Slowest = Literal["queue", "creates", "planning", "collecting", "latency"]


@dataclass(frozen=True)
class Hours:
    """Hours until all is collected: of a tenth of the runs at most `early`, of half `middle`, of nine tenths `late`."""

    early: float
    middle: float
    late: float


@dataclass(frozen=True)
class Forecast:
    """What the runs came to."""

    batches: int
    rows_per_batch: int
    at_once: int
    """Batches in flight when these are most."""
    hours: Hours
    worst_hours: float
    """If every batch took the whole window of 24 hours."""
    most_open: int
    """Rows planned and not yet collected, when these are most."""
    bounds: dict[Slowest, float]
    """The hours that each would take by itself, if nothing else took any."""
    runs: int
    simulated: int
    """Batches of each run."""

    @property
    def slowest(self) -> Slowest:
        """What all the rest waits for."""
        return max(self.bounds, key=lambda each: self.bounds[each])


@dataclass(frozen=True)
class Scene:
    """What a forecast rests on."""

    work: Work
    limits: Limits
    account: Account
    latency: Latency = field(default_factory=Latency)
    pace: Pace = field(default_factory=Pace)
    poll_seconds: float = 60.0

    @property
    def queue(self) -> Queue:
        """Where its batches queue up."""
        return Queue(self.account.limit, self.account.creates_per_hour, self.poll_seconds)

    def weight(self, batch: Batch) -> int:
        """What a batch counts for in the queue."""
        return batch.tokens if self.account.unit == "tokens" else batch.requests


def forecast(
    scene: Scene, *, runs: int = 100, seed: int = 0, events: int = EVENTS, most_batches: int = MOST_BATCHES
) -> Forecast:
    """Simulates a job; the same seed gives the same answer.

    Args:
        scene: The job and the account.
        runs: How often at most; fewer where there are many batches.
        seed: Of the latencies.
        events: Batches in all runs together, about; at least three runs are made.
        most_batches: Of one run; what more there are goes on at the same pace.
    """
    whole = scene.work.count_batches(scene.limits)
    some = scene.work.batches(scene.limits, most_batches)
    stretch = whole / len(some) if some else 1.0
    made = max(3, min(runs, events // max(1, len(some))))
    ready = scene.pace.ready(scene.work.jobs)
    drawn = [scene.latency.draw(len(some), seed + run).tolist() for run in range(made)]
    flown = [_Run.of(scene, some, ready, latencies) for latencies in drawn]
    planned = max(ready, default=0.0) / HOUR
    ends = sorted(max(planned, run.stretched(stretch)) for run in flown)
    return Forecast(
        batches=whole,
        rows_per_batch=scene.work.rows_per_batch(scene.limits),
        at_once=flown[0].at_once,
        hours=Hours(*(_percentile(ends, share) for share in (0.1, 0.5, 0.9))),
        worst_hours=max(planned, _Run.of(scene, some, ready, [WINDOW_SECONDS] * len(some)).stretched(stretch)),
        most_open=min(scene.work.rows, round(flown[0].most_open * stretch)),
        bounds=_bounds(scene, some, drawn, stretch, planned),
        runs=made,
        simulated=len(some),
    )


@dataclass(frozen=True)
class _Run:
    """One course of things, batch by batch."""

    rows: Sequence[int]
    ready: Sequence[float]
    flights: Sequence[Flight]
    done: Sequence[float]

    @classmethod
    def of(cls, scene: Scene, batches: Sequence[Batch], by_job: Sequence[float], latencies: Sequence[float]) -> _Run:
        weights = [scene.weight(batch) for batch in batches]
        ready = [by_job[batch.job] for batch in batches]
        flights = fly(weights, ready, latencies, scene.queue)
        taken = [scene.pace.collecting(batch.rows) for batch in batches]
        return cls([batch.rows for batch in batches], ready, flights, collected(flights, taken, scene.pace.hosts))

    def stretched(self, stretch: float) -> float:
        """Hours until all is collected, if so many times as many are sent; the tail behind the last stays as it is."""
        sent = max((flight.created for flight in self.flights), default=0.0)
        return (sent * stretch + max(self.done, default=0.0) - sent) / HOUR

    @property
    def at_once(self) -> int:
        return _most([(flight.created, 1) for flight in self.flights], [(flight.seen, 1) for flight in self.flights])

    @property
    def most_open(self) -> int:
        return _most(list(zip(self.ready, self.rows, strict=True)), list(zip(self.done, self.rows, strict=True)))


def _most(comes: Sequence[tuple[float, int]], goes: Sequence[tuple[float, int]]) -> int:
    """The most that is there at once; what goes is gone before what comes at the same moment."""
    most = here = 0
    for _, change in sorted([*comes, *((at, -change) for at, change in goes)]):
        here += change
        most = max(most, here)
    return most


def _bounds(
    scene: Scene, batches: Sequence[Batch], drawn: Sequence[Sequence[float]], stretch: float, planned: float
) -> dict[Slowest, float]:
    """What each would take alone; nothing in the simulation is faster than the queue's."""
    busy = [queue_hours([scene.weight(batch) for batch in batches], taken, scene.account.limit) for taken in drawn]
    ends = [max(taken, default=0.0) / HOUR for taken in drawn]
    return {
        "queue": _percentile(sorted(busy), 0.5) * stretch,
        "creates": (len(batches) * stretch - 1) // scene.account.creates_per_hour if batches else 0.0,
        "planning": planned,
        "collecting": scene.pace.collecting(scene.work.rows) / scene.pace.hosts / HOUR,
        "latency": _percentile(sorted(ends), 0.5),
    }


def queue_hours(weights: Sequence[int], latencies: Sequence[float], limit: int | None) -> float:
    """The least that a queue takes: all weights times their time in it, over what it holds at once."""
    if limit is None:
        return 0.0
    return sum(weight * latency for weight, latency in zip(weights, latencies, strict=True)) / limit / HOUR


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
