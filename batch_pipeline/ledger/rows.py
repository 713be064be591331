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
    else:
        listed = func.unnest(bindparam(None, values, type_=ARRAY(String))).table_valued("value")
    return column.in_(select(listed.c.value))


def insert_many(db: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Inserts rows as the driver takes them, a value for each of the columns."""
    if rows:
        mark = "?" if db.dialect.name == "sqlite" else "%s"
        names, marks = ", ".join(columns), ", ".join([mark] * len(columns))
        db.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", [tuple(row) for row in rows])  # noqa: S608 - names of ours


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
