"""The schema, in numbered steps: each file of `steps/` is run once, in order.

The SQL keeps to what DuckLake takes too: no keys, ON CONFLICT, indexes, sequences, generated columns or ENUM.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from batch_pipeline.warehouse.ducklake import is_lake, keep_in_catalogue, partition

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def steps() -> list[tuple[int, str]]:
    """All steps: number and SQL, in order."""
    folder = files("batch_pipeline.warehouse") / "steps"
    found = sorted(step.name for step in folder.iterdir() if step.name.endswith(".sql"))
    return [(int(name.split("_")[0]), (folder / name).read_text(encoding="utf-8")) for name in found]


def is_current(connection: DuckDBPyConnection) -> bool:
    """Whether every step has been run on this file."""
    return _applied(connection) >= {number for number, _ in steps()}


def migrate(connection: DuckDBPyConnection) -> None:
    """Runs the steps that are missing, each in a transaction of its own."""
    connection.execute("CREATE TABLE IF NOT EXISTS schema_steps (step INTEGER, applied_at TIMESTAMPTZ)")
    applied, lake = _applied(connection), is_lake(connection)
    if lake:
        keep_in_catalogue(connection, "schema_steps")  # every process reads it first
    for number, sql in steps():
        if number not in applied:
            connection.begin()
            before = _with_nights(connection) if lake else []
            connection.execute(sql)
            for table in _with_nights(connection) if lake else []:
                if table not in before:
                    partition(connection, table)
            connection.execute("INSERT INTO schema_steps VALUES (?, now())", [number])
            connection.commit()


def _applied(connection: DuckDBPyConnection) -> set[int]:
    known = connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'schema_steps'").fetchone()
    rows = connection.execute("SELECT step FROM schema_steps").fetchall() if known else []
    return {int(step) for (step,) in rows}


def _with_nights(connection: DuckDBPyConnection) -> list[str]:
    """Tables of one row a repository and night, or more."""
    return [str(table) for (table,) in connection.execute(_PARTITIONABLE).fetchall()]


_PARTITIONABLE = """
    SELECT columns.table_name
    FROM duckdb_columns() AS columns
    JOIN duckdb_tables() AS tables USING (database_name, schema_name, table_name)
    WHERE columns.column_name IN ('repo', 'night') AND NOT columns.internal
    GROUP BY columns.table_name
    HAVING count(*) = 2
"""
