"""Money and time, as the reports write them."""

from __future__ import annotations

from math import floor, log10


def in_usd(amount: float) -> str:
    """Two decimals, or two digits that are not zero."""
    if amount == 0 or abs(amount) >= 0.1:
        return f"${amount:,.2f}"
    return f"${amount:.{min(8, 1 - floor(log10(abs(amount))))}f}"


def in_time(seconds: float) -> str:
    """`90 s`, `12 min`, `2.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
