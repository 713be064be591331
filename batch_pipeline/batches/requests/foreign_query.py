"""A person's query in the place of a task's `records`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.tasks.task import BatchTask
from batch_pipeline.warehouse.foreign_sql import in_one_line, one_select, tables_at_hand

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ASKED_FOR, PLACE = "_asked_for", "_place_in_query"
"""The table of what the query gave, which lasts as long as the connection; and its column of the query's own order."""
_CASTS = {"record_id": "CAST(record_id AS VARCHAR)", "night": "TRY_CAST(night AS DATE)"}
"""What a query gives of these columns is put into their types: they are compared with those of answers."""


def ask_for(connection: DuckDBPyConnection, task: BatchTask, sql: str) -> dict[str, str]:
    """Tries a person's query, runs it once into `ASKED_FOR`, and gives its columns: name to DuckDB type.

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
        columns = {str(row[0]): str(row[1]) for row in rows}
        if missing := [name for name in task.needs if name not in columns]:
            raise InvalidSelection(
                f"The query gives no column `{'`, `'.join(missing)}`, which task `{task.name}` needs. "
                f"It gives: {', '.join(columns)}. {tables_at_hand(connection, select)}"
            )
        own = ", ".join(f"{cast_} AS {name}" for name, cast_ in _CASTS.items() if name in columns)
        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE {ASKED_FOR} AS
            SELECT * REPLACE ({own}), row_number() OVER () AS {PLACE}
            FROM (\n{select}\n)
        """)  # noqa: S608 - one SELECT, on a guarded connection
    except duckdb.Error as error:
        told = f"The query can't be run: {in_one_line(str(error)).rstrip('.')}."
        named_wrong = isinstance(error, (duckdb.BinderException, duckdb.CatalogException))
        at_hand = f" {tables_at_hand(connection, select)}" if named_wrong else ""
        raise InvalidSelection(f"{told}{at_hand}") from None
    return columns
