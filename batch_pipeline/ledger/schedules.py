"""Schedules: which records of a task are asked for at an hour of each day."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select, update

from batch_pipeline.ledger.rows import row_of
from batch_pipeline.ledger.tables import schedules


@dataclass(frozen=True)
class Schedule:
    """A row of `schedules`; its columns are described in `tables.py`."""

    schedule_id: str
    task: str
    hour: int
    repo: str | None = None
    most_records: int | None = None
    order: list[str] | None = None
    created_at: float = 0.0
    last_day: str | None = None
    last_job_id: str | None = None
    error: str | None = None


def add(db: Connection, schedule: Schedule) -> None:
    """Writes a new one."""
    db.execute(insert(schedules).values(asdict(schedule)))


def every(db: Connection) -> list[Schedule]:
    """All of them, the oldest first."""
    rows = db.execute(select(schedules).order_by(schedules.c.created_at, schedules.c.schedule_id)).mappings()
    return [row_of(Schedule, row) for row in rows]


def remove(db: Connection, schedule_id: str) -> bool:
    """Removes it; False if there is none."""
    return bool(db.execute(delete(schedules).where(schedules.c.schedule_id == schedule_id)).rowcount)


def note(db: Connection, schedule_id: str, **values: object) -> None:
    """Keeps what came of it."""
    db.execute(update(schedules).where(schedules.c.schedule_id == schedule_id).values(values))
