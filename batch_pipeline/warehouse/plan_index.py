"""Reads the two indexes that a plan leaves beside its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_RECORDS_BY_BATCH = """
    SELECT requests.batch, count(*) AS records
    FROM read_parquet($records) AS records
    JOIN read_parquet($requests) AS requests USING (custom_id)
    WHERE records.share = 'sent'
    GROUP BY requests.batch
"""


def records_by_batch(requests: Path, records: Path) -> dict[int, int]:
    """How many records each batch of a plan answers, by the batch's number. Read without the warehouse."""
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute(_RECORDS_BY_BATCH, {"records": str(records), "requests": str(requests)}).fetchall()
    return {int(batch): int(count) for batch, count in rows}


_LINES = """
    SELECT list(custom_id ORDER BY position)
    FROM read_parquet(?)
    GROUP BY batch, line
    ORDER BY batch, line
"""

_INPUTS = """
    SELECT first(custom_id ORDER BY position), list(custom_id ORDER BY position), list(input_tokens ORDER BY position)
    FROM read_parquet($requests)
    WHERE batch = $number
    GROUP BY line
"""


def inputs_of_lines(requests: Path) -> Iterator[list[str]]:
    """The custom_ids of each line's inputs, line by line, file by file. Read without the warehouse."""
    import duckdb

    with duckdb.connect() as connection:
        lines = connection.execute(_LINES, [str(requests)])
        while row := lines.fetchone():
            yield cast("list[str]", row[0])


def inputs_of_batch(connection: DuckDBPyConnection, requests: Path, number: int) -> dict[str, list[tuple[str, int]]]:
    """By a line's custom_id, its inputs: custom_id and counted tokens, in their order."""
    rows = connection.execute(_INPUTS, {"requests": str(requests), "number": number}).fetchall()
    return {str(line): list(zip(names, tokens, strict=True)) for line, names, tokens in rows}


def in_flight(requests: Path) -> dict[str, str]:
    """The requests of a plan: fingerprint to custom_id. Read without the warehouse."""
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute("SELECT fingerprint, custom_id FROM read_parquet(?)", [str(requests)]).fetchall()
    return dict(rows)
