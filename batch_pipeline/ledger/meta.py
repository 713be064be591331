"""Small facts that must outlive a process: learned limits, cursors, counters."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Connection, delete, insert, select

from batch_pipeline.ledger.tables import meta


def get(db: Connection, name: str) -> object:
    """The value of that name, or None."""
    return cast(object, db.scalar(select(meta.c.value).where(meta.c.name == name)))


def put(db: Connection, name: str, value: object) -> None:
    """Sets the value of that name."""
    db.execute(delete(meta).where(meta.c.name == name))
    db.execute(insert(meta).values(name=name, value=value))


def count_up(db: Connection, name: str) -> int:
    """The next number of a counter, from 1."""
    value = get(db, name)
    number = (value if isinstance(value, int) else 0) + 1
    put(db, name, number)
    return number
