"""Which of a task's records are meant, as people say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Which = Literal["new", "missing", "outdated", "all"]
"""`new`: not answered at this content; `missing`: not answered at all; `outdated`: answered only by an older prompt
version, or not at all; `all`: everything."""


@dataclass(frozen=True)
class Selection:
    """Which of a task's records are meant; what is None does not narrow.

    `sql` is a person's query, which takes the place of the task's `records`; `order` names orders of `orders.py`.
    """

    sql: str | None = None
    night: date | None = None
    repo: str | None = None
    org: str | None = None
    state: str | None = None
    ids: tuple[str, ...] | None = None
    order: tuple[str, ...] | None = None
    limit: int | None = None
    variant: str | None = None
    which: Which = "new"

    def told(self) -> dict[str, object]:
        """What narrows it, as JSON; kept with the job."""
        told: dict[str, object] = {name: value for name, value in vars(self).items() if value is not None}
        return told | ({"night": self.night.isoformat()} if self.night else {})
