"""Tables of a person's own rows: the only code that writes them.

Such a table is known by its comment, so that a load never takes the place of answers that were paid for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.warehouse.names import quoted, text_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from batch_pipeline.warehouse.issues import ArrowStream

_MARK = "rows of "
"""How the comment of such a table begins."""


def check_table_name(name: str) -> None:
    """Refuses what needs quotation marks in SQL.

    Raises:
        InvalidSelection: It is no plain name.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise InvalidSelection(
            f"`{name}` can't be a table's name: lower case letters, digits and underscores, 40 at most."
        )


def replace_rows(connection: DuckDBPyConnection, table: str, rows: ArrowStream, comment: str) -> int:
    """Puts rows in the place of what the table held; gives their number.

    Args:
        connection: Of `Warehouse.write()`.
        table: A name that `check_table_name` let through.
        rows: With `record_id`.
        comment: Where they are from; begins with `rows of `.

    Raises:
        InvalidSelection: Another table or view has this name.
    """
    found = connection.execute(_COMMENT, [table]).fetchone()
    if found is not None and not str(found[0] or "").startswith(_MARK):
        raise InvalidSelection(
            f"The warehouse has a table `{table}` that is not of rows like these; give yours another name. "
            "Nothing was changed."
        )
    connection.register("incoming rows", rows)
    connection.execute(f"CREATE OR REPLACE TABLE {quoted(table)} AS FROM {quoted('incoming rows')}")
    connection.unregister("incoming rows")
    connection.execute(f"COMMENT ON TABLE {quoted(table)} IS {text_literal(comment)}")
    counted = connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()  # noqa: S608 - quoted
    return cast("tuple[int]", counted)[0]


def is_of_rows(connection: DuckDBPyConnection, table: str) -> bool:
    """Whether the table holds rows that `replace_rows` put there."""
    found = connection.execute(_COMMENT, [table]).fetchone()
    return found is not None and str(found[0] or "").startswith(_MARK)


_COMMENT = """
SELECT comment FROM duckdb_tables() WHERE table_name = $1 AND NOT internal
UNION ALL
SELECT NULL FROM duckdb_views() WHERE view_name = $1 AND NOT internal
"""
