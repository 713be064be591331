"""Keeps a lake in order: many small files become a few, and what nobody reads any more is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_pipeline.warehouse.attached import ATTACHED
from batch_pipeline.warehouse.locations import DuckLake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from batch_pipeline.warehouse.connection import Warehouse

KEEP_DAYS = 1.0
"""How old a state is that no reader can still be looking at, and a file that no writer will still name."""


REWRITTEN_FROM = 0.25
"""A file is written anew when more than this share of its rows is deleted."""


@dataclass(frozen=True)
class Upkeep:
    """What was done: files that others took the place of, states that were forgotten, files that were deleted."""

    merged: int = 0
    rewritten: int = 0
    forgotten: int = 0
    deleted: int = 0


def keep_up(warehouse: Warehouse, keep_days: float = KEEP_DAYS) -> Upkeep | None:
    """Merges small files, rewrites those with deleted rows, forgets old states, and deletes files that are in none.

    In two transactions, each under the lock of writers; readers go on. None where the warehouse is no lake.

    Args:
        warehouse: The warehouse.
        keep_days: States and files that are younger stay.

    Raises:
        WarehouseBusy: Another process wrote for longer than we wait.
    """
    if not isinstance(warehouse.location, DuckLake):
        return None
    merged, rewritten = warehouse.transact(_compact)
    forgotten, deleted = warehouse.transact(lambda connection: _clean(connection, keep_days))
    return Upkeep(merged, rewritten, forgotten, deleted)


def _compact(connection: DuckDBPyConnection) -> tuple[int, int]:
    rewritten = _files(connection, f"ducklake_rewrite_data_files('{ATTACHED}', delete_threshold => {REWRITTEN_FROM})")
    return _files(connection, f"ducklake_merge_adjacent_files('{ATTACHED}')"), rewritten


def _clean(connection: DuckDBPyConnection, keep_days: float) -> tuple[int, int]:
    old = f"older_than => now() - to_seconds({keep_days * 86400:.0f})"
    forgotten = connection.execute(f"CALL ducklake_expire_snapshots('{ATTACHED}', {old})").fetchall()
    deleted = [
        *connection.execute(f"CALL ducklake_cleanup_old_files('{ATTACHED}', {old})").fetchall(),
        *connection.execute(f"CALL ducklake_delete_orphaned_files('{ATTACHED}', {old})").fetchall(),
    ]
    return len(forgotten), len(deleted)


def _files(connection: DuckDBPyConnection, call: str) -> int:
    """Files that were taken, out of a row a table: schema, table, files that were taken, files that were made."""
    return sum(int(row[2]) for row in connection.execute(f"CALL {call}").fetchall())
