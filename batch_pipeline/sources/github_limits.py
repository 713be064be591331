"""GitHub's rate limits: how long to wait before a refused request is sent again.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SECONDARY_WAIT = 60.0
"""Seconds to wait at least for a secondary limit that names no time; doubled each time."""

LONGEST_WAIT = 3_900.0
"""Seconds that one request may be waited for: the primary limit is reset every hour."""


@dataclass(frozen=True)
class Clock:
    """The time in seconds since 1970, and how to let it pass."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def limit_wait(status: int, headers: Mapping[str, str], message: str, tries: int, now: float) -> float | None:
    """Seconds to wait, or None where the refusal is no rate limit.

    Args:
        status: HTTP status of the refusal.
        headers: Its headers, by lower-case name.
        message: GitHub's own words.
        tries: How often this request was refused for a limit before.
        now: Seconds since 1970.
    """
    if status not in (403, 429):
        return None
    if (after := headers.get("retry-after", "")).isdigit():
        return float(after)
    secondary = "secondary rate" in message.lower()
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit() and not secondary:
        return max(float(reset) - now, 0.0) + 1.0  # the reset is given in whole seconds
    return SECONDARY_WAIT * 2**tries if secondary or status == 429 or "rate limit" in message.lower() else None
