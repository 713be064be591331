"""The tables `batch_jobs` and `batches`: a copy of what the ledger knows, to be queried beside the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from batch_pipeline.warehouse.names import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Rows = Sequence[Mapping[str, object]]
"""Columns by name; times are unix seconds, JSON is text."""


def replace_reports(connection: DuckDBPyConnection, jobs: Rows, batches: Rows) -> None:
    """Writes both tables anew; to be called in a transaction."""
    for table, rows in (("batch_jobs", jobs), ("batches", batches)):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own two names
        if rows:
            _insert(connection, table, rows)


def _insert(connection: DuckDBPyConnection, table: str, rows: Rows) -> None:
    import pyarrow as pa

    types: dict[str, str] = dict(connection.execute(_COLUMNS, [table]).fetchall())
    connection.register("ledger_rows", pa.Table.from_pylist([dict(row) for row in rows]))
    try:
        fields = ", ".join(_field(name, types[name]) for name in rows[0])
        connection.execute(f"INSERT INTO {table} BY NAME SELECT {fields} FROM ledger_rows")  # noqa: S608 - quoted
    finally:
        connection.unregister("ledger_rows")


def _field(name: str, kind: str) -> str:
    value = f"to_timestamp({quoted(name)}::DOUBLE)" if kind.startswith("TIMESTAMP") else f"{quoted(name)}::{kind}"
    return f"{value} AS {quoted(name)}"


_COLUMNS = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?"
