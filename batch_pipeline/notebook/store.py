"""The table `python_items`: what was asked, one row an item and content; the newest row of a record counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.notebook.items import Item
from batch_pipeline.warehouse.names import text_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Asked:
    """An item as it stands in the table: of which envelope, and in which row."""

    record_id: str
    envelope: str
    position: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one envelope, from the first to the last position, which one job asks."""

    envelope: str
    first: int
    last: int

    def holds(self, asked: Asked) -> bool:
        """Whether the item's row is among them."""
        return self.envelope == asked.envelope and self.first <= asked.position <= self.last


def add_items(connection: DuckDBPyConnection, batch: str, envelope: str, items: Sequence[Item]) -> None:
    """Adds what is not there yet; a record whose content has changed gets a new row.

    Args:
        connection: Of `Warehouse.write()`.
        batch: The batch's name.
        envelope: Of all these items.
        items: In order.
    """
    values: dict[str, object] = {
        "batch": batch,
        "envelope": envelope,
        "ids": [item.record_id for item in items],
        "contents": [item.content for item in items],
        "options": [item.options.as_json() for item in items],
        "hashes": [item.content_hash for item in items],
    }
    connection.execute(_ADD, values)


def asked_of(connection: DuckDBPyConnection, batch: str, envelope: str, record_ids: Sequence[str]) -> list[Asked]:
    """The newest rows of these records, in the order of `record_ids`."""
    values: dict[str, object] = {"batch": batch, "envelope": envelope, "ids": list(record_ids)}
    return [Asked(*row) for row in connection.execute(_ASKED, values).fetchall()]


def all_asked(connection: DuckDBPyConnection, batch: str) -> list[Asked]:
    """The newest row of each record of a batch, in the order in which they were added."""
    return [Asked(*row) for row in connection.execute(_ALL, [batch]).fetchall()]


def last_position(connection: DuckDBPyConnection, batch: str, envelope: str) -> int:
    """The newest row's; 0 where there is none."""
    row = connection.execute(
        "SELECT coalesce(max(position), 0) FROM python_items WHERE batch = ? AND envelope = ?", [batch, envelope]
    ).fetchone()
    return int(row[0]) if row else 0


def digest(connection: DuckDBPyConnection, batch: str, rows: Rows) -> str:
    """Sixteen characters that are the same for the same records and contents."""
    found = connection.execute(f"SELECT record_id, content_hash FROM ({records_sql(batch, rows)}) ORDER BY position")  # noqa: S608 - quoted
    told = sha256()
    while chunk := found.fetchmany(10_000):
        for record_id, content_hash in chunk:
            told.update(f"{record_id}\0{content_hash}\0".encode())
    return told.hexdigest()[:16]


def hashes(connection: DuckDBPyConnection, batch: str, envelope: str, record_ids: Sequence[str]) -> dict[str, str]:
    """The content hash of the newest row of each of these records."""
    values: dict[str, object] = {"batch": batch, "envelope": envelope, "ids": list(record_ids)}
    return dict(connection.execute(_HASHES, values).fetchall())


def file_sql(path: Path) -> str:
    """A task's `records`, out of a Parquet file."""
    return f"SELECT record_id, position, content FROM read_parquet({text_literal(path)})"  # noqa: S608 - quoted


def records_sql(batch: str, rows: Rows) -> str:
    """A task's `records`: the newest row of each record."""
    return f"""\
SELECT record_id, position, content, content_hash
FROM python_items
WHERE batch = {text_literal(batch)} AND envelope = {text_literal(rows.envelope)}
    AND position BETWEEN {rows.first:d} AND {rows.last:d}
QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY position DESC) = 1"""  # noqa: S608 - quoted


_GIVEN = "SELECT unnest($ids::VARCHAR[]) AS record_id, generate_subscripts($ids::VARCHAR[], 1) AS place"

_ADD = """
    INSERT INTO python_items BY NAME
    WITH given AS (
        SELECT unnest($ids::VARCHAR[]) AS record_id, unnest($contents::VARCHAR[]) AS content,
            unnest($options::VARCHAR[]) AS parameters, unnest($hashes::VARCHAR[]) AS content_hash,
            generate_subscripts($ids::VARCHAR[], 1) AS place
    ),
    newest AS (
        SELECT record_id, arg_max(content_hash, position) AS content_hash
        FROM python_items
        WHERE batch = $batch AND envelope = $envelope
        GROUP BY record_id
    ),
    last AS (
        SELECT coalesce(max(position), 0) AS position FROM python_items WHERE batch = $batch
    )
    SELECT $batch AS batch, $envelope AS envelope, given.record_id,
        last.position + row_number() OVER (ORDER BY given.place) AS position,
        given.content, given.parameters, given.content_hash, now() AS added_at
    FROM given
    CROSS JOIN last
    LEFT JOIN newest USING (record_id)
    WHERE newest.content_hash IS DISTINCT FROM given.content_hash
"""

_ASKED = f"""
    WITH given AS ({_GIVEN})
    SELECT record_id, any_value(envelope), max(position)
    FROM python_items
    JOIN given USING (record_id)
    WHERE batch = $batch AND envelope = $envelope
    GROUP BY record_id
    ORDER BY any_value(place)
"""  # noqa: S608 - our own text

_HASHES = f"""
    WITH given AS ({_GIVEN})
    SELECT record_id, arg_max(content_hash, position)
    FROM python_items
    JOIN given USING (record_id)
    WHERE batch = $batch AND envelope = $envelope
    GROUP BY record_id
"""  # noqa: S608 - our own text

_ALL = """
    SELECT record_id, envelope, position
    FROM python_items
    WHERE batch = ?
    QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY position DESC) = 1
    ORDER BY position
"""
