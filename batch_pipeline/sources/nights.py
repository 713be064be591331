"""Nights: a partition is named by the day that ended."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo


def last_night(zone: tzinfo) -> date:
    """The last day that has ended: the newest partition that there is."""
    return datetime.now(zone).date() - timedelta(days=1)
