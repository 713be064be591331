"""The warehouse at MotherDuck. Nobody has run this yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from typing_extensions import override

from batch_pipeline.warehouse import extensions
from batch_pipeline.warehouse.attached import ATTACHED, AttachedStore
from batch_pipeline.warehouse.duckdb_file import file_lock
from batch_pipeline.warehouse.names import text_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from batch_pipeline.warehouse.locations import MotherDuck


class MotherDuckStore(AttachedStore):
    """A database at MotherDuck, whose extension reads `MOTHERDUCK_TOKEN` itself.

    It has no lock that other hosts see: one host writes.
    """

    def __init__(self, where: MotherDuck) -> None:
        super().__init__()
        self._where = where

    @property
    @override
    def name(self) -> str:
        """The database."""
        return self._where.database

    @override
    def exists(self) -> bool:
        """It must be there."""
        return True

    @override
    def version(self) -> int:
        """It can't be told without asking."""
        return time.time_ns()

    @override
    @contextmanager
    def lock(self, wait_seconds: float) -> Generator[Callable[[], None]]:
        """Of the writers of this machine."""
        with file_lock(self._where.lock, wait_seconds):
            yield lambda: None

    @override
    def _attach(self, connection: DuckDBPyConnection, *, read_only: bool) -> None:
        extensions.load(connection, "motherduck")
        only = " (READ_ONLY)" if read_only else ""
        connection.execute(f"ATTACH {text_literal(self._where.database)} AS {ATTACHED}{only}")
