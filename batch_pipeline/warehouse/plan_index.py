"""Reads the two indexes that a plan leaves beside its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_ROWS = 5_000
"""Of one Arrow batch."""

_IN_BATCHES = """
    SELECT records.* REPLACE (requests.batch AS batch)
    FROM read_parquet($records) AS records
    JOIN read_parquet($requests) AS requests USING (custom_id)
    ORDER BY requests.batch
"""


def in_batches(requests: Path, records: Path) -> Iterator[pa.RecordBatch]:
    """These records with the batch that has their request, batch by batch. Read without the warehouse."""
    import duckdb

    with duckdb.connect() as connection:
        files = {"records": str(records), "requests": str(requests)}
        yield from connection.execute(_IN_BATCHES, files).to_arrow_reader(_ROWS)


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
