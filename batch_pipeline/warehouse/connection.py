"""The one way to the warehouse, wherever it is: connections to read and to write, and the lock of writers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from batch_pipeline.errors import UsageError, WarehouseConflict, WarehouseUnreachable
from batch_pipeline.warehouse.duckdb_file import FileStore
from batch_pipeline.warehouse.ducklake import LakeStore
from batch_pipeline.warehouse.locations import DuckDBFile, DuckLake, Location, MotherDuck
from batch_pipeline.warehouse.schema import is_current, migrate

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from batch_pipeline.warehouse.stores import Mode, Store

WAIT_SECONDS = 600.0
"""How long a foreign process's lock is waited for: a long collection ends well within it."""
TRIES = 6
"""How often `transact` begins anew, after 0.25 s, 0.5 s and so on: a Postgres that restarts is back by then."""

T = TypeVar("T")


class Warehouse:
    """The warehouse: `read()` and `write()` give connections, `transact()` does a piece of work in one transaction.

    Args:
        where: Its location, or the path of a DuckDB file; made, with its tables, when it is first used.
        wait_seconds: How long to wait for another process before `WarehouseBusy`.
    """

    def __init__(self, where: Location | Path, wait_seconds: float = WAIT_SECONDS) -> None:
        self.location: Location = DuckDBFile(where) if isinstance(where, Path) else where
        self.wait_seconds = wait_seconds
        self._store = _store_here(self.location)

    @property
    def path(self) -> Path:
        """The DuckDB file.

        Raises:
            UsageError: It is no file.
        """
        if not isinstance(self.location, DuckDBFile):
            raise UsageError(f"The warehouse is {self.name}, which is no file.")
        return self.location.path

    @property
    def name(self) -> str:
        """Where it is, as people are told: a file's path, or a URL without a password."""
        return str(self.path) if isinstance(self.location, DuckDBFile) else self._store.name

    def patient(self, wait_seconds: float) -> Warehouse:
        """The same warehouse, with another patience."""
        return Warehouse(self.location, wait_seconds)

    @contextmanager
    def read(self) -> Generator[DuckDBPyConnection]:
        """A read-only connection, which sees one state to the end of the block. Not to be nested around `write()`.

        Raises:
            WarehouseBusy: Another process wrote for longer than `wait_seconds`.
        """
        with self._use("read") as connection:
            yield connection

    @contextmanager
    def guarded(self) -> Generator[DuckDBPyConnection]:
        """A connection for SQL that somebody else wrote: it can't write, reach files, load extensions or be unlocked.

        On DuckLake it can still reach the lake's own data and catalogue; `foreign_sql.one_select` lets nothing through
        that would.

        Raises:
            WarehouseBusy: Another process wrote for longer than `wait_seconds`.
        """
        with self._use("guarded") as connection:
            yield connection

    @contextmanager
    def write(self, *, threads: int | None = None) -> Generator[DuckDBPyConnection]:
        """A connection inside one transaction: committed at the end of the block, rolled back on an exception.

        Args:
            threads: How many DuckDB works with, on little data; as many as there are cores where nothing is said.

        Raises:
            WarehouseBusy: Another process held the lock for longer than `wait_seconds`.
            WarehouseConflict: A program that takes no lock wrote meanwhile, or a server went away; nothing was changed.
        """
        import duckdb

        self._prepare()
        with (
            self._store.lock(self.wait_seconds) as must_hold,
            self._store.use("write", self.wait_seconds) as connection,
            _threads(connection, threads),
        ):
            connection.begin()
            try:
                yield connection
                must_hold()
                connection.commit()
            except BaseException as error:
                with suppress(duckdb.Error):
                    connection.rollback()
                if isinstance(error, duckdb.TransactionException):
                    raise WarehouseConflict(_CONFLICT.format(name=self._store.name)) from error
                raise

    def transact(self, work: Callable[[DuckDBPyConnection], T], *, threads: int | None = None) -> T:
        """Does `work` in one transaction, from its beginning again where that met a conflict or lost its server.

        Args:
            work: What is done; whatever it does outside of the warehouse must bear being done twice.
            threads: As for `write()`.

        Raises:
            WarehouseBusy: As `write()`, when it happened each time.
        """
        for attempt in range(TRIES - 1):
            try:
                with self.write(threads=threads) as connection:
                    return work(connection)
            except (WarehouseConflict, WarehouseUnreachable):
                time.sleep(0.25 * 2**attempt)
        with self.write(threads=threads) as connection:
            return work(connection)

    @contextmanager
    def write_lock(self) -> Generator[None]:
        """The right to write, from before `BEGIN` to after `COMMIT`; let go when its process dies."""
        with self._store.lock(self.wait_seconds):
            yield

    @contextmanager
    def kept_open(self) -> Generator[None]:
        """Many small uses in a row without closing in between, which takes most of their time; for seconds, not more.

        Nobody else can read or write meanwhile, and in the block `guarded()` has to close it after all.

        Raises:
            WarehouseBusy: As `write()`.
        """
        self._prepare()
        with self._store.kept_open(self.wait_seconds):
            yield

    def version(self) -> int:
        """Another number after each write, told without waiting for writers; 0 where nothing was ever written."""
        return self._store.version()

    def close(self) -> None:
        """Gives back what is kept open between uses; it opens again when it is used."""
        self._store.close()

    @contextmanager
    def _use(self, mode: Mode) -> Generator[DuckDBPyConnection]:
        """A connection to what is up to date; that it is can mostly be seen on the same one."""
        if not self._store.is_current() and self._store.exists():
            with self._store.use(mode, self.wait_seconds) as connection:
                if is_current(connection):
                    self._store.seen_current(made=False)
                    yield connection
                    return
        self._prepare()
        with self._store.use(mode, self.wait_seconds) as connection:
            yield connection

    def _prepare(self) -> None:
        """Makes it and brings its schema up to date, once a process; and again where somebody removed the file."""
        if self._store.is_current():
            return
        with self.write_lock():
            behind = not self._store.exists() or not self._is_current()
            if behind:
                with self._store.use("write", self.wait_seconds) as connection:
                    migrate(connection)
            self._store.seen_current(made=behind)

    def _is_current(self) -> bool:
        with self._store.use("read", self.wait_seconds) as connection:
            return is_current(connection)


@contextmanager
def _threads(connection: DuckDBPyConnection, count: int | None) -> Generator[None]:
    """They are the whole process's, which may keep what it has open."""
    if count is None:
        yield
        return
    import duckdb

    connection.execute(f"SET threads = {count:d}")
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # of a server that went away nothing is kept
            connection.execute("RESET threads")


_CONFLICT = (
    "{name} was written to by a program that takes no lock, or its server went away: nothing was changed. "
    "Run this again."
)
_stores: dict[Location, Store] = {}
_registry = threading.Lock()


def _store_here(location: Location) -> Store:
    """The store of that place: one a process, as DuckDB wants one configuration of a file, and lakes stay attached."""
    key = DuckDBFile(location.path.resolve()) if isinstance(location, DuckDBFile) else location
    with _registry:
        if key not in _stores:
            _stores[key] = _open(location)
        return _stores[key]


def _open(location: Location) -> Store:
    match location:
        case DuckDBFile(path):
            return FileStore(path)
        case DuckLake():
            return LakeStore(location)
        case MotherDuck():
            from batch_pipeline.warehouse.motherduck import MotherDuckStore

            return MotherDuckStore(location)


os.register_at_fork(after_in_child=_stores.clear)  # the threads of an open DuckDB are not forked
