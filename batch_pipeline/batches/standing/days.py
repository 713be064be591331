"""Days as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

from batch_pipeline.errors import InvalidSelection


def day_start(day: str | None) -> float | None:
    """The beginning of a day (UTC), or a moment, in unix seconds; None for None.

    Raises:
        InvalidSelection: It is no date.
    """
    if day is None:
        return None
    try:
        at = datetime.fromisoformat(day)
    except ValueError:
        raise InvalidSelection(f"A day is written as 2026-11-20; `{day}` is none.") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
