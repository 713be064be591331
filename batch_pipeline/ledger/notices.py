"""Notices: what somebody is to be told of, once, and whether it was."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from batch_pipeline.ledger.rows import chunked, row_of
from batch_pipeline.ledger.tables import notices


@dataclass(frozen=True)
class Notice:
    """A row of `notices`; its columns are described in `tables.py`. The number is the ledger's to give."""

    key: str
    kind: str
    text: str
    job_id: str | None = None
    fields: dict[str, object] = field(default_factory=dict[str, object])
    created_at: float = 0.0
    tries: int = 0
    next_at: float | None = 0.0
    sent_at: float | None = None
    error: str | None = None
    notice_id: int = 0


def add(db: Connection, found: Iterable[Notice]) -> int:
    """Writes those that are not there yet, to be sent at once; gives how many."""
    return sum(_add(db, notice) for notice in found)


def known(db: Connection, keys: Sequence[str]) -> set[str]:
    """Those of the keys that there is a notice of, sent or not."""
    return {key for chunk in chunked(keys) for key in db.scalars(select(notices.c.key).where(notices.c.key.in_(chunk)))}


def due(db: Connection, limit: int) -> list[Notice]:
    """What is to be sent now, the oldest first."""
    rows = select(notices).where(notices.c.next_at <= time.time()).order_by(notices.c.notice_id).limit(limit)
    return [row_of(Notice, row) for row in db.execute(rows).mappings()]


def take(db: Connection, notice: Notice, next_at: float | None) -> bool:
    """The right to send it now; whoever comes before `next_at` leaves it alone. False if somebody else took it."""
    as_read = (notices.c.notice_id == notice.notice_id) & (notices.c.tries == notice.tries)
    values = {"tries": notice.tries + 1, "next_at": next_at}
    return bool(db.execute(update(notices).where(as_read).values(values)).rowcount)


def set_sent(db: Connection, notice: Notice) -> None:
    """It has arrived."""
    values = {"sent_at": time.time(), "next_at": None, "error": None}
    db.execute(update(notices).where(notices.c.notice_id == notice.notice_id).values(values))


def set_error(db: Connection, notice: Notice, error: str) -> None:
    """It has not arrived, and why; it goes again as `take` has said."""
    db.execute(update(notices).where(notices.c.notice_id == notice.notice_id).values(error=error))


def prune(db: Connection, before: float) -> None:
    """Forgets what was sent, or given up, and is older than that (unix seconds)."""
    db.execute(delete(notices).where(notices.c.created_at < before, notices.c.next_at.is_(None)))


def _add(db: Connection, notice: Notice) -> bool:
    values = asdict(notice) | {"created_at": time.time(), "next_at": time.time()}
    del values["notice_id"]
    try:
        with db.begin_nested():
            db.execute(insert(notices).values(values))
    except IntegrityError:
        return False
    return True
