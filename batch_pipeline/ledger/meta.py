"""Small facts that must outlive a process: learned limits, cursors, counters."""

from __future__ import annotations

from contextlib import suppress
from typing import cast

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from batch_pipeline.ledger.tables import meta


def get(db: Connection, name: str) -> object:
    """The value of that name, or None."""
    return cast(object, db.scalar(select(meta.c.value).where(meta.c.name == name)))


def put(db: Connection, name: str, value: object) -> None:
    """Sets the value of that name."""
    db.execute(delete(meta).where(meta.c.name == name))
    db.execute(insert(meta).values(name=name, value=value))


def numbers(db: Connection, prefix: str) -> dict[str, float]:
    """The numbers whose names begin so."""
    rows = db.execute(select(meta.c.name, meta.c.value).where(meta.c.name.startswith(prefix, autoescape=True)))
    return {name: float(value) for name, value in rows if isinstance(value, (int, float))}


def stamp(db: Connection, name: str, value: float) -> None:
    """Sets the value of that name; of two who do so at once, either may win."""
    if db.execute(update(meta).where(meta.c.name == name).values(value=value)).rowcount:
        return
    with suppress(IntegrityError), db.begin_nested():
        db.execute(insert(meta).values(name=name, value=value))


def count_up(db: Connection, name: str) -> int:
    """The next number of a counter, from 1."""
    value = get(db, name)
    number = (value if isinstance(value, int) else 0) + 1
    put(db, name, number)
    return number
