"""A person's query in the place of a task's `records`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.tasks.task import BatchTask
from batch_pipeline.warehouse.foreign_sql import in_one_line, one_select, tables_at_hand, within

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ASKED_FOR, PLACE = "_asked_for", "_place_in_query"
"""The table of what the query gave, which lasts as long as the connection; and its column of the query's own order."""
_CASTS = {"record_id": "CAST(record_id AS VARCHAR)", "night": "TRY_CAST(night AS DATE)"}
"""What a query gives of these columns is put into their types: they are compared with those of answers."""


@dataclass(frozen=True)
class Described:
    """A person's query, found right: the one SELECT that it is, and its columns: name to DuckDB type."""

    select: str
    columns: dict[str, str]


def describe(connection: DuckDBPyConnection, task: BatchTask, sql: str) -> Described:
    """Tries a person's query, without running it.

    Args:
        connection: Of `Warehouse.guarded()`.
        task: Whose prompt needs columns of it.
        sql: A person's.

    Raises:
        UsageError: It is more than one SELECT.
        InvalidSelection: DuckDB can't run it, in its own words; or it lacks a column. Both with what is at hand.
    """
    import duckdb

    select = one_select(connection, sql)
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM (\n{select}\n)").fetchall()  # noqa: S608 - one SELECT, guarded
    except duckdb.Error as error:
        raise _not_run(connection, select, error) from None
    columns = {str(row[0]): str(row[1]) for row in rows}
    if missing := [name for name in task.needs if name not in columns]:
        raise InvalidSelection(
            f"The query gives no column `{'`, `'.join(missing)}`, which task `{task.name}` needs. "
            f"It gives: {', '.join(columns)}. {tables_at_hand(connection, select)}"
        )
    return Described(select, columns)


def ask_for(connection: DuckDBPyConnection, task: BatchTask, sql: str, seconds: float | None = None) -> dict[str, str]:
    """Tries a person's query, runs it once into `ASKED_FOR`, and gives its columns: name to DuckDB type.

    Args:
        connection: As `describe`, and the two that follow.
        task: Whose prompt needs columns of it.
        sql: A person's.
        seconds: The longest that it may run.

    Raises:
        UsageError: As `describe`.
        InvalidSelection: As `describe`; or it was stopped after so many seconds.
    """
    import duckdb

    described = describe(connection, task, sql)
    columns = described.columns
    own = ", ".join(f"{cast_} AS {name}" for name, cast_ in _CASTS.items() if name in columns)
    try:
        with within(connection, seconds):
            connection.execute(f"""
                CREATE OR REPLACE TEMP TABLE {ASKED_FOR} AS
                SELECT * REPLACE ({own}), row_number() OVER () AS {PLACE}
                FROM (\n{described.select}\n)
            """)  # noqa: S608 - one SELECT, on a guarded connection
    except duckdb.Error as error:
        raise _not_run(connection, described.select, error) from None
    return columns


def _not_run(connection: DuckDBPyConnection, select: str, error: Exception) -> InvalidSelection:
    import duckdb

    told = f"The query can't be run: {in_one_line(str(error)).rstrip('.')}."
    named_wrong = isinstance(error, (duckdb.BinderException, duckdb.CatalogException))
    at_hand = f" {tables_at_hand(connection, select)}" if named_wrong else ""
    return InvalidSelection(f"{told}{at_hand}")
