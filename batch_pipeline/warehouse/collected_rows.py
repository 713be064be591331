"""The rows of a batch's files, judged, in a table that lasts as long as the connection, until they are stored.

Such tables begin with `_`, as no task's name does: each hides a task's table of its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_ROWS = """
    CREATE OR REPLACE TEMP TABLE _collected_rows (
        custom_id VARCHAR, place BIGINT, outcome VARCHAR, http_status INTEGER, error_code VARCHAR,
        error_message VARCHAR, input_tokens BIGINT, cached_tokens BIGINT, cache_write_tokens BIGINT,
        output_tokens BIGINT, reasoning_tokens BIGINT, cost_usd DOUBLE, response_text VARCHAR, vector FLOAT[],
        line VARCHAR  -- of a row that is not judged yet
    )
"""

FIRST_ROWS = """
    SELECT *
    FROM _collected_rows
    QUALIFY row_number() OVER (
        PARTITION BY custom_id
        ORDER BY coalesce(http_status BETWEEN 200 AND 299, false) DESC, place
    ) = 1
"""
"""SQL: of each `custom_id` one row; the first 2xx of a doubled one counts."""


def make_collected_rows(connection: DuckDBPyConnection) -> None:
    """Makes `_collected_rows`, without rows."""
    connection.execute(_ROWS)


def add_rows(connection: DuckDBPyConnection, rows: pa.Table) -> None:
    """Puts judged rows into `_collected_rows`; they have columns of its."""
    connection.register("chunk", rows)
    connection.execute("INSERT INTO _collected_rows BY NAME SELECT * FROM chunk")
    connection.unregister("chunk")
