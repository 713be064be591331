"""Events: who did what to which batch, and when. Append-only; each is a line in the log too."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from batch_pipeline.ledger.rows import row_of
from batch_pipeline.ledger.tables import events

log = logging.getLogger("batch_pipeline")


@dataclass(frozen=True)
class Event:
    """A row of `events`; `who` is host and process."""

    event_id: int
    at: float
    who: str
    job_id: str
    batch_id: str | None
    event: str
    detail: dict[str, object]


def record(db: Connection, event: str, job_id: str, batch_id: str | None = None, /, **detail: object) -> None:
    """Appends an event, in the transaction of the change that it tells of."""
    who = f"{socket.gethostname()}:{os.getpid()}"
    values = {"at": time.time(), "who": who, "job_id": job_id, "batch_id": batch_id, "event": event, "detail": detail}
    db.execute(insert(events).values(values))
    log.info("%s %s%s", event, batch_id or job_id, _told(detail), extra={"job_id": job_id, "batch_id": batch_id})


def of_job(db: Connection, job_id: str) -> list[Event]:
    """The job's events, the oldest first."""
    rows = db.execute(select(events).where(events.c.job_id == job_id).order_by(events.c.event_id)).mappings()
    return [row_of(Event, row) for row in rows]


def _told(detail: Mapping[str, object]) -> str:
    return "".join(f" {name}={value}" for name, value in detail.items() if value is not None)
