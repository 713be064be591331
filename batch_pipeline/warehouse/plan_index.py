"""Reads the two indexes that a plan leaves beside its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_RECORDS_BY_BATCH = """
    SELECT requests.batch, count(*) AS records
    FROM read_parquet($records) AS records
    JOIN read_parquet($requests) AS requests USING (custom_id)
    WHERE records.share = 'sent'
    GROUP BY requests.batch
"""


def records_by_batch(connection: DuckDBPyConnection, requests: Path, records: Path) -> dict[int, int]:
    """How many records each batch of a plan answers, by the batch's number."""
    rows = connection.execute(_RECORDS_BY_BATCH, {"records": str(records), "requests": str(requests)}).fetchall()
    return {int(batch): int(count) for batch, count in rows}


def in_flight(requests: Path) -> dict[str, str]:
    """The requests of a plan: fingerprint to custom_id. Read without the warehouse."""
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute("SELECT fingerprint, custom_id FROM read_parquet(?)", [str(requests)]).fetchall()
    return dict(rows)
