"""Days as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import typer


def day_start(day: str | None) -> float | None:
    """The beginning of a day (UTC), or a moment, in unix seconds; None for None.

    Raises:
        BadParameter: It is no date.
    """
    if day is None:
        return None
    try:
        at = datetime.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter(f"--since is a date, such as 2026-11-20, not {day!r}.") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
