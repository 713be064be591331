"""Rows as frozen dataclasses, and the one way in which one changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Connection,
    RowMapping,
    String,
    Table,
    any_,
    bindparam,
    func,
    select,
    update,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row", bound="DataclassInstance")


def row_of(kind: type[Row], columns: RowMapping) -> Row:
    """The row as `kind`, whose fields are named as the columns are; further columns are passed over."""
    return kind(**{column.name: columns[column.name] for column in fields(kind)})


CHUNK = 10_000
"""Values in one statement; SQLite takes 32,766."""


def chunked(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """The values in pieces that fit into one statement."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def among(db: Connection, column: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
    """Whether `column` has one of the values: they are one parameter, however many they are.

    A statement with a parameter for each took as long to put together as all the rest of a plan (a profile of 50,000
    requests). Sorted, they are found and deleted in half the time: an index is walked through once.
    """
    values = sorted(values)
    if db.dialect.name == "sqlite":
        listed = func.json_each(json.dumps(values)).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(bindparam(None, values, type_=ARRAY(String)))


def insert_many(
    db: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    unless_there: bool = False,
) -> int:
    """Inserts rows as the driver takes them, a value for each of the columns.

    Args:
        db: The transaction.
        table: Where to.
        columns: Their names.
        rows: The values; in the order of the key where others may insert the same at once, or they wait for each other.
        unless_there: Whether a row whose key is there already, or comes to be there meanwhile, is passed over.

    Returns:
        How many rows were inserted.
    """
    if not rows:
        return 0
    into = f"INSERT INTO {table.name} ({', '.join(columns)})"  # names of ours
    but = "ON CONFLICT DO NOTHING" if unless_there else ""
    if db.dialect.name == "sqlite":
        marks = ", ".join(["?"] * len(columns))
        return db.exec_driver_sql(f"{into} VALUES ({marks}) {but}", [tuple(row) for row in rows]).rowcount
    # a column is one parameter: four times as fast as a row is
    types = (table.c[name].type.compile(db.dialect) for name in columns)
    arrays = ", ".join(f"%s::{kind}[]" for kind in types)
    given = tuple([row[number] for row in rows] for number in range(len(columns)))
    return db.exec_driver_sql(f"{into} SELECT * FROM unnest({arrays}) {but}", given).rowcount  # noqa: S608 - the same


def compare_and_set(
    db: Connection, table: Table, row: Row, *conditions: ColumnElement[bool], **values: object
) -> Row | None:
    """Writes `values` where the stored row equals `row` in every column (JSON columns aside) and `conditions` hold.

    Returns:
        The row as it is now, or None: somebody else moved it, so stop.
    """
    read = {field.name: getattr(row, field.name) for field in fields(row)}
    unchanged = [
        table.c[name].is_not_distinct_from(value)
        for name, value in read.items()
        if not isinstance(table.c[name].type, JSON)
    ]
    written = db.execute(update(table).where(*unchanged, *conditions).values(values)).rowcount
    return replace(row, **values) if written else None
