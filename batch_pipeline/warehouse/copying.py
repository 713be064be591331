"""A warehouse copied into another, table by table: a DuckDB file is attached, to read alone, beside the other one.

What a table holds is compared by its rows and by a sum over their hashes: the same rows in any order have the same sum.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from batch_pipeline.errors import UsageError
from batch_pipeline.warehouse.ducklake import is_lake, partition
from batch_pipeline.warehouse.names import quoted, text_literal
from batch_pipeline.warehouse.schema import steps

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FROM = "moved_from"
"""The name that the source is attached by."""
NOTE = "moved_here"
"""A table of one row, in a warehouse that is being copied into or was: whose it is, and when all was there."""
_OWN = {"schema_steps", NOTE}


class Sum(NamedTuple):
    """What a table holds."""

    rows: int
    sum: int


class Moving(NamedTuple):
    """A table of the source: its columns, by name, with their types."""

    name: str
    columns: tuple[tuple[str, str], ...]


@contextmanager
def opened(file: Path) -> Generator[DuckDBPyConnection]:
    """A connection that has the file attached to read, and nothing else.

    Raises:
        UsageError: There is none, or it is of another version.
    """
    import duckdb

    if not file.exists():
        raise UsageError(f"There is no warehouse at {file}: nothing is to be moved from there.")
    with duckdb.connect() as connection:
        attach(connection, file)
        _must_be_current(connection, file)
        yield connection


def attach(connection: DuckDBPyConnection, file: Path) -> None:
    """Attaches the source, to read alone."""
    connection.execute(f"ATTACH IF NOT EXISTS {text_literal(file)} AS {FROM} (READ_ONLY)")


def detach(connection: DuckDBPyConnection) -> None:
    """Lets go of the source."""
    connection.execute(f"DETACH DATABASE IF EXISTS {FROM}")


def _must_be_current(connection: DuckDBPyConnection, file: Path) -> None:
    if "schema_steps" in {table for table, _ in _columns(connection, FROM)}:
        applied = {step for (step,) in connection.execute(f"SELECT step FROM {FROM}.schema_steps").fetchall()}  # noqa: S608
        if applied == {number for number, _ in steps()}:
            return
    raise UsageError(f"The warehouse {file} is of another version: run `batch-pipeline doctor` once, and this again.")


def tables(connection: DuckDBPyConnection) -> list[Moving]:
    """The source's tables."""
    return [Moving(name, tuple(columns)) for name, columns in _columns(connection, FROM) if name not in _OWN]


def sum_there(connection: DuckDBPyConnection, table: Moving) -> Sum:
    """What a table of the source holds."""
    return _sum(connection, f"{FROM}.main.{quoted(table.name)}", table)


def sum_here(connection: DuckDBPyConnection, table: Moving) -> Sum | None:
    """What the same table holds here; None where it is not there, or lacks a column."""
    here = dict(_columns(connection, None)).get(table.name)
    if here is None or not dict(table.columns).keys() <= dict(here).keys():
        return None
    return _sum(connection, quoted(table.name), table)


def _sum(connection: DuckDBPyConnection, name: str, table: Moving) -> Sum:
    values = ", ".join(f"CAST({quoted(column)} AS {kind})" for column, kind in table.columns)
    row = connection.execute(f"SELECT count(*), coalesce(sum(hash({values})), 0) FROM {name}").fetchone()  # noqa: S608
    return Sum(*map(int, row or (0, 0)))


def has_data(connection: DuckDBPyConnection) -> bool:
    """Whether any table here has rows."""
    names = [name for name, _ in _columns(connection, None) if name not in _OWN]
    return any(connection.execute(f"SELECT 1 FROM {quoted(name)} LIMIT 1").fetchone() for name in names)  # noqa: S608


def copy(connection: DuckDBPyConnection, table: Moving) -> None:
    """Makes the table here as the source has it, and puts the source's rows into it in place of those that are here."""
    here = dict(_columns(connection, None)).get(table.name)
    if here is None:
        columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in table.columns)
        connection.execute(f"CREATE TABLE {quoted(table.name)} ({columns})")
        if is_lake(connection) and {"repo", "night"} <= dict(table.columns).keys():
            partition(connection, table.name)
    else:
        for column, kind in table.columns:
            if column not in dict(here):
                connection.execute(f"ALTER TABLE {quoted(table.name)} ADD COLUMN {quoted(column)} {kind}")
        connection.execute(f"DELETE FROM {quoted(table.name)}")  # noqa: S608 - a quoted name
    names = ", ".join(quoted(column) for column, _ in table.columns)
    here_name, there = quoted(table.name), f"{FROM}.main.{quoted(table.name)}"
    connection.execute(f"INSERT INTO {here_name} ({names}) SELECT {names} FROM {there}")  # noqa: S608 - quoted names


def copy_views(connection: DuckDBPyConnection) -> list[str]:
    """Makes the source's views here that are not here yet, in the order in which they were made; their names."""
    views = """
        SELECT view_name, sql FROM duckdb_views()
        WHERE database_name = ? AND schema_name = 'main' AND NOT internal AND NOT temporary
        ORDER BY view_oid
    """
    here = {name for name, _ in connection.execute(views, [_current(connection)]).fetchall()}
    made = [(name, sql) for name, sql in connection.execute(views, [FROM]).fetchall() if name not in here]
    for _, sql in made:
        connection.execute(sql)
    return [name for name, _ in made]


def note(connection: DuckDBPyConnection) -> tuple[str, bool] | None:
    """The id of the pipeline that was moved here, and whether all of it is here; None where none was."""
    if NOTE not in dict(_columns(connection, None)):
        return None
    row = connection.execute(f"SELECT pipeline_id, done_at IS NOT NULL FROM {NOTE}").fetchone()  # noqa: S608
    return None if row is None else (str(row[0]), bool(row[1]))


def put_note(connection: DuckDBPyConnection, pipeline_id: str, *, done: bool) -> None:
    """Says whose warehouse is moved here, and whether all of it is here."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS {NOTE} (pipeline_id VARCHAR, done_at TIMESTAMPTZ)")
    connection.execute(f"DELETE FROM {NOTE}")  # noqa: S608
    connection.execute(f"INSERT INTO {NOTE} VALUES (?, CASE WHEN ? THEN now() END)", [pipeline_id, done])  # noqa: S608


def _columns(connection: DuckDBPyConnection, database: str | None) -> list[tuple[str, list[tuple[str, str]]]]:
    """Tables of a database (of the present one, without its name) with their columns' names and types."""
    found: dict[str, list[tuple[str, str]]] = {}
    rows = connection.execute(_TABLES, [database or _current(connection)]).fetchall()
    for table, column, kind in rows:
        found.setdefault(table, []).append((column, kind))
    return list(found.items())


def _current(connection: DuckDBPyConnection) -> str:
    row = connection.execute("SELECT current_database()").fetchone()
    return str(row[0]) if row else ""


_TABLES = """
    SELECT table_name, column_name, data_type
    FROM duckdb_columns()
    JOIN duckdb_tables() USING (database_name, schema_name, table_name)
    WHERE database_name = ? AND schema_name = 'main' AND NOT duckdb_columns.internal AND NOT temporary
    ORDER BY table_name, column_index
"""
