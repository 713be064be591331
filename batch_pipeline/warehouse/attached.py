"""A warehouse on servers: a DuckDB in memory has it attached, and holds nobody out.

To load extensions and attach takes a third of a second, so it is kept open between uses.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.errors import WarehouseUnreachable
from batch_pipeline.warehouse import extensions
from batch_pipeline.warehouse.names import text_literal
from batch_pipeline.warehouse.stores import LOCKED, Mode

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ATTACHED = "warehouse"
"""The name that it is attached by."""
KEPT_SECONDS = 60.0
"""An attached DuckDB is given back at the end of its first use after that, with what it holds in memory."""

_UNREACHABLE = (
    *(
        "Unable to connect to Postgres",
        "connection to server",
        "server closed the connection",
        "terminating connection",
    ),
    *("Could not establish connection", "Could not connect", "HTTP Error", "Connection error"),
)
"""What DuckDB says where a server is not there or ends a connection."""


class AttachedStore(ABC):
    """A place that is attached; what it is attached from is said by those that stand on this."""

    def __init__(self) -> None:
        self._current = False
        self._turn = threading.Lock()
        self._kept: DuckDBPyConnection | None = None
        self._kept_since = 0.0
        self._users = 0

    @property
    @abstractmethod
    def name(self) -> str:
        """As people are told; without passwords."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether anything was ever written there."""

    @abstractmethod
    def version(self) -> int:
        """Another number after each write."""

    @abstractmethod
    def lock(self, wait_seconds: float) -> AbstractContextManager[Callable[[], None]]:
        """The right to write."""

    def kept_open(self, wait_seconds: float) -> AbstractContextManager[None]:
        """It is kept open anyway, and keeps nobody out."""
        return nullcontext()

    @abstractmethod
    def _attach(self, connection: DuckDBPyConnection, *, read_only: bool) -> None:
        """Loads what it takes, and attaches."""

    def is_current(self) -> bool:
        """For as long as this process lives."""
        return self._current

    def seen_current(self, *, made: bool) -> None:
        """Who may read is said by the servers."""
        self._current = True

    def _reachable(self) -> tuple[str, ...]:
        """Folders whose files a guarded connection must reach."""
        return ()

    def close(self) -> None:
        """Gives back the DuckDB that is kept."""
        with self._turn:
            if self._users == 0:
                self._give_back()

    @contextmanager
    def use(self, mode: Mode, wait_seconds: float) -> Generator[DuckDBPyConnection]:
        """A connection; one that reads sees one state, as that of a file does."""
        import duckdb

        opened = self._guarded() if mode == "guarded" else self._cursor()
        with self._reached(), opened as connection:
            if mode == "read":
                connection.execute("BEGIN TRANSACTION READ ONLY")
            try:
                yield connection
            finally:
                if mode == "read":
                    with suppress(duckdb.Error):
                        connection.rollback()

    @contextmanager
    def _reached(self) -> Generator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            if not any(words in str(error) for words in _UNREACHABLE):
                raise
            raise WarehouseUnreachable(
                f"{self.name} or its data can't be reached: {in_a_line(error)}. Run this again when they are there."
            ) from None

    @contextmanager
    def _cursor(self) -> Generator[DuckDBPyConnection]:
        with self._turn:
            if self._kept is None:
                self._kept, self._kept_since = self._opened(read_only=False), time.monotonic()
            cursor = self._kept.cursor()
            self._users += 1
        try:
            cursor.execute(f"USE {ATTACHED}")
            yield cursor
        finally:
            with self._turn:
                cursor.close()
                self._users -= 1
                if self._users == 0 and time.monotonic() - self._kept_since > KEPT_SECONDS:
                    self._give_back()

    @contextmanager
    def _guarded(self) -> Generator[DuckDBPyConnection]:
        """A DuckDB of its own, attached to read: nothing of what a person does with it is left behind."""
        with self._opened(read_only=True) as connection:
            allowed = ", ".join(text_literal(folder) for folder in self._reachable())
            connection.execute(f"USE {ATTACHED}; SET allowed_directories = [{allowed}]; {LOCKED}")
            yield connection

    def _give_back(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _opened(self, *, read_only: bool) -> DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(config={**extensions.CHECKED_HERE, "allow_persistent_secrets": False})
        try:
            connection.execute(f"SET GLOBAL TimeZone = 'UTC'; SET GLOBAL temp_directory = {text_literal(_spill())}")
            self._attach(connection, read_only=read_only)
        except BaseException:
            connection.close()
            raise
        return connection


def in_a_line(error: Exception) -> str:
    """A server's or library's own words, the first of them."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]


def _spill() -> Path:
    """Where a query that is larger than memory writes meanwhile; the working directory may be anybody's."""
    return Path(tempfile.gettempdir()) / f"batch_pipeline-{os.getuid()}-{os.getpid()}"
