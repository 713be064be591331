"""The queue at a provider, batch by batch: an event each, in the order in which they are sent.

It follows `batches/money/admission.py`: a batch goes when it fits under the limit beside those in flight, or when it is
alone; what has ended makes room when the next look at the provider sees it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil
from typing import NamedTuple

HOUR = 3600.0


@dataclass(frozen=True)
class Queue:
    """What an account may have queued, and how often it is looked at.

    Attributes:
        limit: Weight in flight at once: input tokens, or requests where the provider counts these; none where there is
            no limit.
        creates_per_hour: Batches created within an hour.
        poll_seconds: Between two looks at the provider.
    """

    limit: int | None
    creates_per_hour: int
    poll_seconds: float


class Flight(NamedTuple):
    """When a batch was created, when it ended, and when that was seen; seconds from the start."""

    created: float
    ended: float
    seen: float


def fly(weights: Sequence[int], ready: Sequence[float], latencies: Sequence[float], queue: Queue) -> list[Flight]:
    """Sends batches in their order.

    Args:
        weights: What each counts for in the queue.
        ready: When each is planned, in seconds; not falling.
        latencies: How long each is at the provider, in seconds.
        queue: Where they queue up.

    Returns:
        A flight a batch. No two more than `creates_per_hour` are created within an hour, and no more than `limit` is in
        flight unless one batch alone is more.
    """
    flights: list[Flight] = []
    in_flight: list[tuple[float, int]] = []
    recent: deque[float] = deque(maxlen=queue.creates_per_hour)
    weight, now, poll = 0, 0.0, queue.poll_seconds
    room = float("inf") if queue.limit is None else queue.limit
    for own, planned, latency in zip(weights, ready, latencies, strict=True):
        now = max(now, planned)
        if len(recent) == queue.creates_per_hour:
            now = max(now, recent[0] + HOUR)
        while in_flight and in_flight[0][0] <= now:
            weight -= heappop(in_flight)[1]
        while in_flight and weight + own > room:
            seen, freed = heappop(in_flight)
            weight, now = weight - freed, max(now, seen)
        ended = now + latency
        flight = Flight(now, ended, ceil(ended / poll) * poll)
        heappush(in_flight, (flight.seen, own))
        weight += own
        recent.append(now)
        flights.append(flight)
    return flights


def collected(flights: Sequence[Flight], seconds: Sequence[float], hosts: int) -> list[float]:
    """When each batch is collected, in seconds from the start: by whichever host is free, in the order of their ends.

    Args:
        flights: A flight a batch.
        seconds: What collecting each takes.
        hosts: How many collect at once.
    """
    done = [0.0] * len(flights)
    free = [0.0] * hosts
    for place in sorted(range(len(flights)), key=lambda each: flights[each].seen):
        done[place] = max(heappop(free), flights[place].seen) + seconds[place]
        heappush(free, done[place])
    return done
