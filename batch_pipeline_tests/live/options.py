"""How much is tried, how often is looked, and how long is waited."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Times are seconds."""

    samples: int = 5
    """How many new batches are looked for in the listing, and how many deleted files at their address."""
    posts_after: tuple[float, ...] = (0.0, 1.0, 5.0, 20.0)
    """How long after the reply to DELETE a batch of that file is created."""
    every: float = 0.25
    """Between two looks while a lag is measured."""
    longest: float = 60.0
    """How long a lag is followed before it is given up."""
    limit: float = 900.0
    """How long the batches get to come to their end, before the rest is left to another run."""
    patience: float = 5.0
    """How long an interrupted run looks for the end of what it cancelled."""


SLOWEST_LOOK = 10.0
"""Between two looks at batches that run on: each is twice as long as the one before, and never longer than this."""
STAYS = 4
"""How often is looked again at what was seen once, for a listing that is put together from several copies."""
