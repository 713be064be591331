"""The one place that opens DuckDB.

A DuckDB file has one writing process, and a writer shuts out the read-only opens of other processes too. So a
connection is opened late and closed at once, writers take a lock that the operating system lets go when they die,
and a file that is held by somebody else is waited for.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout

from batch_pipeline.errors import WarehouseBusy
from batch_pipeline.warehouse.schema import is_current, migrate

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

WAIT_SECONDS = 600.0
"""How long a foreign process's lock is waited for: a long collection ends well within it."""
_RETRY_SECONDS = 0.05

Mode = Literal["read", "write", "guarded"]

_GUARDED = """
    SET enable_external_access = false;
    SET autoinstall_known_extensions = false;
    SET autoload_known_extensions = false;
    SET lock_configuration = true;
"""


class Warehouse:
    """The warehouse: `read()` and `write()` give connections.

    Args:
        path: The DuckDB file; made, with its tables, when it is first used.
        wait_seconds: How long to wait for another process before `WarehouseBusy`.
    """

    def __init__(self, path: Path, wait_seconds: float = WAIT_SECONDS) -> None:
        self.path = path
        self.wait_seconds = wait_seconds
        self._opened = _opened_here(path)

    @contextmanager
    def read(self) -> Generator[DuckDBPyConnection]:
        """A read-only connection, closed at the end of the block. Not to be nested around `write()`.

        Raises:
            WarehouseBusy: Another process wrote for longer than `wait_seconds`.
        """
        self._prepare()
        with self._opened.use("read", self._open) as connection:
            yield connection

    @contextmanager
    def guarded(self) -> Generator[DuckDBPyConnection]:
        """A connection for SQL that somebody else wrote: it can't write, reach files, load extensions or be unlocked.

        Raises:
            WarehouseBusy: Another process wrote for longer than `wait_seconds`.
        """
        self._prepare()
        with self._opened.use("guarded", self._open) as connection:
            connection.execute(_GUARDED)
            yield connection

    @contextmanager
    def write(self) -> Generator[DuckDBPyConnection]:
        """A connection inside one transaction: committed at the end of the block, rolled back on an exception.

        Raises:
            WarehouseBusy: Another process held the file for longer than `wait_seconds`.
        """
        self._prepare()
        with self.write_lock(), self._opened.use("write", self._open) as connection:
            connection.begin()
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def write_lock(self) -> Generator[None]:
        """The right to write, from before `BEGIN` to after `COMMIT`; let go by the OS when its process dies."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(f"{self.path}.lock", timeout=self.wait_seconds, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            raise WarehouseBusy(
                f"Another process has been writing to {self.path.name} for {self.wait_seconds:.0f} s. "
                "Nothing is lost: run this again when it is done."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _prepare(self) -> None:
        """Makes the file and brings its schema up to date, once a process; and again where somebody removed it."""
        if self._opened.current and self.path.exists():
            return
        with self.write_lock():
            if not self.path.exists() or not self._is_current():
                with self._opened.use("write", self._open) as connection:
                    migrate(connection)
                self.path.chmod(0o600)
            self._opened.current = True

    def _is_current(self) -> bool:
        with self._opened.use("read", self._open) as connection:
            return is_current(connection)

    def _open(self, mode: Mode) -> DuckDBPyConnection:
        """Opens the file, waiting for a process that holds it; its pid is in the log."""
        import duckdb

        deadline, told = time.monotonic() + self.wait_seconds, False
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=mode != "write")
            except duckdb.IOException as error:
                holder = _holder(str(error))
                if holder is None:
                    raise
                if time.monotonic() > deadline:
                    raise WarehouseBusy(
                        f"{self.path.name} has been held by {holder} for {self.wait_seconds:.0f} s. "
                        "Close it there, or run this again when it is done; nothing is lost."
                    ) from None
                if not told:
                    log.warning("%s is held by %s: waiting", self.path.name, holder)
                    told = True
                time.sleep(_RETRY_SECONDS)


class _Opened:
    """What this process has open of one file: DuckDB wants one configuration a process, so modes take turns."""

    def __init__(self) -> None:
        self.current = False
        self._turn = threading.Condition()
        self._mode: Mode | None = None
        self._users = 0
        self._connection: DuckDBPyConnection | None = None

    @contextmanager
    def use(self, mode: Mode, opens: Callable[[Mode], DuckDBPyConnection]) -> Generator[DuckDBPyConnection]:
        cursor = self._enter(mode, opens)
        try:
            yield cursor
        finally:
            self._leave(cursor)

    def _enter(self, mode: Mode, opens: Callable[[Mode], DuckDBPyConnection]) -> DuckDBPyConnection:
        with self._turn:
            self._turn.wait_for(lambda: self._users == 0 or self._mode == mode == "read")
            if self._connection is None:
                self._connection = opens(mode)
                self._mode = mode
            cursor = self._connection.cursor()
            cursor.execute("SET TimeZone = 'UTC'")
            self._users += 1
            return cursor

    def _leave(self, cursor: DuckDBPyConnection) -> None:
        with self._turn:
            cursor.close()
            self._users -= 1
            if self._users == 0 and self._connection is not None:
                self._connection.close()
                self._connection = self._mode = None
            self._turn.notify_all()


_opened: dict[Path, _Opened] = {}
_registry = threading.Lock()


def _opened_here(path: Path) -> _Opened:
    with _registry:
        return _opened.setdefault(path.resolve(), _Opened())


def _holder(message: str) -> str | None:
    """Who holds the file, out of DuckDB's own words; None where the failure is another one."""
    if "Could not set lock" not in message:
        return None
    found = re.search(r"Conflicting lock is held in (?P<program>.*?) ?\(PID (?P<pid>\d+)\)", message)
    return f"process {found['pid']} ({found['program']})" if found else "another process"
