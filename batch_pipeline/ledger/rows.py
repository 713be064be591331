"""Rows as frozen dataclasses, and the one way in which one changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import JSON, ColumnElement, Connection, RowMapping, Table, update

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
