"""A second cursor of a connection of the warehouse."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batch_pipeline.warehouse.names import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextmanager
def second_cursor(connection: DuckDBPyConnection) -> Generator[DuckDBPyConnection]:
    """One that finds the same tables, closed at the end of the block; DuckDB's own starts outside of a lake again.

    To be asked for before the connection is at work: what it had still to give would be lost.
    """
    ((catalogue, schema),) = connection.execute("SELECT current_catalog(), current_schema()").fetchall()
    with connection.cursor() as cursor:
        cursor.execute(f"USE {quoted(catalogue)}.{quoted(schema)}")
        yield cursor
