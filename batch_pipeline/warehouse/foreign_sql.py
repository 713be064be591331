"""SQL that somebody else wrote: one SELECT, on a connection that can write nothing, reach nothing and load nothing.

The connection of `Warehouse.guarded()` refuses files, extensions and settings. What it does not refuse is refused
here, before it runs: DuckDB's own parser says what the text is, and only table functions that look at data are let
through. `FROM enable_logging(...)` is a SELECT too, and ended the process (DuckDB 1.5.5); others read raw memory.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from batch_pipeline.errors import InvalidSelection, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TABLE_FUNCTIONS = frozenset(
    {
        *("unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree", "summary"),
        *("duckdb_columns", "duckdb_tables", "duckdb_views", "duckdb_schemas", "duckdb_databases", "duckdb_types"),
        *("duckdb_functions", "duckdb_keywords", "duckdb_constraints", "duckdb_indexes", "pragma_table_info"),
        *("pragma_show", "pragma_version", "pragma_storage_info", "icu_calendar_names", "pg_timezone_names"),
        *("histogram", "histogram_values"),
    }
)
"""What may stand after FROM with parentheses."""
_NO_FUNCTIONS = frozenset({"write_log", "sleep_ms", "nextval", "getenv", "current_setting", "getvariable"})
"""Functions that do something, or tell of the process."""


def one_select(connection: DuckDBPyConnection, sql: str) -> str:
    """The text of the one SELECT that `sql` must be, without its semicolon.

    Args:
        connection: Of `Warehouse.guarded()`; any other is refused.
        sql: A person's.

    Raises:
        UsageError: It is something else, more than one, no SQL, or calls what only looks like a table.
    """
    import duckdb

    _must_be_guarded(connection)
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise UsageError(in_one_line(str(error))) from None
    if not statements:
        raise UsageError("The SQL is empty: give one SELECT.")
    if len(statements) > 1:
        raise UsageError("The SQL is more than one statement: give one SELECT.")
    kind, text = statements[0].type.name, statements[0].query.strip().rstrip(";").rstrip()
    if kind != "SELECT" or text not in sql:  # a PRAGMA comes as the SELECT that DuckDB puts in its place
        raise UsageError(f"The SQL is {_told(kind)}, and may only read: give one SELECT.")
    for name in _functions(_parsed(connection, text)):
        raise UsageError(f"The SQL uses `{name}`, which it may not: it reads tables and views of the warehouse.")
    return text


@contextmanager
def within(connection: DuckDBPyConnection, seconds: float | None) -> Generator[None]:
    """Stops what runs on the connection when the time is over; None: never.

    Raises:
        InvalidSelection: It was stopped.
    """
    import duckdb

    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException:
        raise InvalidSelection(
            f"The query was stopped after {seconds:g} s: ask for less, or set BATCH_PIPELINE_SQL_SECONDS."
        ) from None
    finally:
        timer.cancel()


def in_one_line(message: str) -> str:
    """DuckDB's own words in a line; the names that it suggests are among them."""
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith("LINE ")]
    return " ".join(line for line in lines if set(line) != {"^"})


def tables_at_hand(connection: DuckDBPyConnection, sql: str) -> str:
    """Which columns the tables have that `sql` names; which tables there are, where it names none of them."""
    named = {str(node.get("table_name")).lower() for node in _nodes(_parsed(connection, sql))}
    rows = connection.execute(_COLUMNS).fetchall()
    tables: dict[str, list[str]] = {}
    for table, column in rows:
        tables.setdefault(str(table), []).append(str(column))
    if known := [name for name in tables if name.lower() in named]:
        return " ".join(f"`{name}` has: {', '.join(tables[name])}." for name in known)
    return f"The tables and views are: {', '.join(tables)}."


def _must_be_guarded(connection: DuckDBPyConnection) -> None:
    found = connection.execute(
        "SELECT current_setting('enable_external_access'), current_setting('lock_configuration')"
    ).fetchone()
    if found != (False, True):
        raise RuntimeError("somebody else's SQL needs a connection of Warehouse.guarded()")


def _parsed(connection: DuckDBPyConnection, text: str) -> object:
    """A SELECT as DuckDB's parser understands it."""
    row = connection.execute("SELECT json_serialize_sql($sql)", {"sql": text}).fetchone()
    parsed = cast("dict[str, object]", json.loads(cast("tuple[str]", row)[0]))
    if parsed.get("error"):
        raise UsageError(f"The SQL can't be looked through ({parsed.get('error_message')}): give one plain SELECT.")
    return parsed


def _nodes(parsed: object) -> Iterator[Mapping[str, object]]:
    left = [parsed]
    while left:
        part = left.pop()
        if isinstance(part, list):
            left += cast("list[object]", part)
        elif isinstance(part, dict):
            node = cast("Mapping[str, object]", part)
            left += node.values()
            yield node


def _functions(parsed: object) -> Iterator[str]:
    """Names of the functions that may not be called."""
    return (name for node in _nodes(parsed) if (name := _forbidden(node)) is not None)


def _forbidden(node: Mapping[str, object]) -> str | None:
    if node.get("type") == "TABLE_FUNCTION":
        name = _name_of(cast("Mapping[str, object]", node["function"]))
        return None if name in _TABLE_FUNCTIONS else name
    if node.get("type") == "BASE_TABLE" and _of_catalogue(node):
        return str(node.get("table_name"))
    name = _name_of(node)
    return name if name in _NO_FUNCTIONS else None


def _of_catalogue(node: Mapping[str, object]) -> bool:
    """Whether it is a table of the database that a lake's catalogue is in, which may have others beside them."""
    return any(str(node.get(part, "")).lower().startswith("__ducklake") for part in ("catalog_name", "schema_name"))


def _name_of(node: Mapping[str, object]) -> str:
    return str(node.get("function_name", "")).lower()


def _told(kind: str) -> str:
    if not kind.isidentifier():
        return "no SELECT"
    return "a PRAGMA" if kind == "SELECT" else f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind.replace('_', ' ')}"


_COLUMNS = """
    SELECT table_name, column_name
    FROM duckdb_columns()
    WHERE NOT internal AND table_name <> 'schema_steps'
    ORDER BY table_name, column_index
"""
