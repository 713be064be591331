"""The warehouse as one DuckDB file.

A DuckDB file has one writing process, and a writer shuts out the read-only opens of other processes too. So a
connection is opened late and closed at once, writers take a lock that the operating system lets go when they die,
and a file that is held by somebody else is waited for.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from errno import EACCES
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from batch_pipeline.errors import WarehouseBusy
from batch_pipeline.warehouse.names import quoted, text_literal
from batch_pipeline.warehouse.stores import LOCKED, Mode

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.05
ROW_GROUP = 16_384
"""Rows of a table that DuckDB compresses together, in place of 122,880: a commit compresses the last group anew, and
holds it in memory meanwhile. Measured: of a million rows in batches of 50,000, a third of the time of all commits."""
_IN_UTC = "SET TimeZone = 'UTC';"


class FileStore:
    """One file; made, with its folder, when it is first used. A process has it open in one mode: modes take turns.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._current = False
        self._turn = threading.Condition()
        self._mode: Mode | None = None
        self._users = 0
        self._connection: DuckDBPyConnection | None = None
        self._begin = _IN_UTC
        """What each cursor of the connection begins with."""
        self._keeper: int | None = None
        """The thread that keeps it open."""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def is_current(self) -> bool:
        """Not where somebody removed the file."""
        return self._current and self.exists()

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    def seen_current(self, *, made: bool) -> None:
        """Answers are their owner's alone."""
        if made:
            self.path.chmod(0o600)
        self._current = True

    def version(self) -> int:
        """The time of the file's last change."""
        return self.path.stat().st_mtime_ns if self.path.exists() else 0

    def close(self) -> None:
        """Nothing is open between uses."""

    @contextmanager
    def lock(self, wait_seconds: float) -> Generator[Callable[[], None]]:
        """A file beside it, locked; let go by the operating system when its process dies."""
        if self._keeper == threading.get_ident():
            yield _held
            return
        with file_lock(self.path, wait_seconds):
            yield _held

    @contextmanager
    def kept_open(self, wait_seconds: float) -> Generator[None]:
        """Holds the lock, and does not close the file after each use of this thread: that takes 50 ms each time."""
        with file_lock(self.path, wait_seconds):
            with self._turn:
                self._turn.wait_for(lambda: self._users == 0)
                self._keeper = threading.get_ident()
            try:
                yield
            finally:
                with self._turn:
                    self._keeper = None
                    self._close()
                    self._turn.notify_all()

    @contextmanager
    def use(self, mode: Mode, wait_seconds: float) -> Generator[DuckDBPyConnection]:
        """A connection; the file is closed when the last of them is."""
        cursor = self._enter(mode, wait_seconds)
        try:
            if mode == "guarded":
                cursor.execute(LOCKED)
            yield cursor
        finally:
            self._leave(cursor)

    def _enter(self, mode: Mode, wait_seconds: float) -> DuckDBPyConnection:
        with self._turn:
            kept = self._keeper == threading.get_ident()
            if kept and mode == "read":
                mode = "write"
            shared = kept or mode == "read"
            self._turn.wait_for(
                lambda: (kept or self._keeper is None) and (self._users == 0 or (shared and self._mode == mode))
            )
            if self._mode != mode:
                self._close()
            if self._connection is None:
                self._connection = self._open(mode, wait_seconds)
                self._mode = mode
            self._users += 1
            cursor = self._connection.cursor()
            try:
                cursor.execute(self._begin)
            except BaseException:
                self._leave(cursor)
                raise
            return cursor

    def _leave(self, cursor: DuckDBPyConnection) -> None:
        with self._turn:
            cursor.close()
            self._users -= 1
            if self._users == 0 and (self._keeper is None or self._mode != "write"):
                self._close()
            self._turn.notify_all()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = self._mode = None

    def _open(self, mode: Mode, wait_seconds: float) -> DuckDBPyConnection:
        """Opens the file, waiting for a process that holds it; its pid is in the log."""
        import duckdb

        deadline, told = time.monotonic() + wait_seconds, False
        while True:
            try:
                return self._connected(read_only=mode != "write")
            except (duckdb.ConnectionException, duckdb.BinderException):
                raise WarehouseBusy(
                    f"{self.name} is open in this very process, by a connection of your own: close that first."
                ) from None
            except duckdb.IOException as error:
                holder = _holder(str(error))
                if holder is None:
                    if "Permission denied" in str(error):
                        raise PermissionError(EACCES, os.strerror(EACCES), str(self.path)) from None
                    raise
                if time.monotonic() > deadline:
                    raise WarehouseBusy(
                        f"{self.name} has been held by {holder} for {wait_seconds:.0f} s. "
                        "Close it there, or run this again when it is done; nothing is lost."
                    ) from None
                if not told:
                    log.warning("%s is held by %s: waiting", self.name, holder)
                    told = True
                time.sleep(_RETRY_SECONDS)

    def _connected(self, *, read_only: bool) -> DuckDBPyConnection:
        """What is to be written to is attached, since only so the size of its row groups can be said.

        It has the name that `connect` gives it: views may have been made with it.
        """
        import duckdb

        self._begin = _IN_UTC
        if read_only or _catalogue(self.path) == _IN_MEMORY:
            return duckdb.connect(str(self.path), read_only=read_only)
        connection = duckdb.connect(config={"temp_directory": f"{self.path}.tmp"})
        name = quoted(_catalogue(self.path))
        try:
            connection.execute(f"ATTACH {text_literal(self.path)} AS {name} (ROW_GROUP_SIZE {ROW_GROUP})")
        except duckdb.BinderException:  # somebody has it open in this very process: it is shared with them
            connection.close()
            return duckdb.connect(str(self.path))
        except BaseException:
            connection.close()
            raise
        self._begin += f"USE {name};"
        return connection


_IN_MEMORY = "memory"
"""What a database that is attached to would be called itself."""


def _catalogue(path: Path) -> str:
    """The name that DuckDB has for a file that it opens."""
    stem = path.name.split(".")[0]
    return f"{stem}_db" if stem.lower() in ("main", "system", "temp") else stem


@contextmanager
def file_lock(path: Path, wait_seconds: float) -> Generator[None]:
    """Locks `path` with `.lock` behind its name.

    Raises:
        WarehouseBusy: Another process held it for longer than `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(f"{path}.lock", timeout=wait_seconds, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise WarehouseBusy(
            f"Another process has been writing to {path.name} for {wait_seconds:.0f} s. "
            "Nothing is lost: run this again when it is done."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _held() -> None:
    """A lock of the operating system's is never lost."""


def _holder(message: str) -> str | None:
    """Who holds the file, out of DuckDB's own words; None where the failure is another one."""
    if "Could not set lock" not in message:
        return None
    found = re.search(r"Conflicting lock is held in (?P<program>.*?) ?\(PID (?P<pid>\d+)\)", message)
    return f"process {found['pid']} ({found['program']})" if found else "another process"
