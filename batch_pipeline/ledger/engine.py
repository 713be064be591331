"""Connections to the ledger: SQLite by default, Postgres by URL."""

from __future__ import annotations

import weakref
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from filelock import FileLock
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from batch_pipeline.errors import InvalidSettings, LedgerReplaced
from batch_pipeline.ledger import postgres

if TYPE_CHECKING:
    from sqlite3 import Connection as SQLiteConnection

BUSY_SECONDS = 60
PAGE = 4096
"""Bytes of one, as SQLite has it by itself."""
LOG_PAGES, MANY_LOG_PAGES = 1_000, 65_536
"""Pages in SQLite's log from which on a commit writes them into the file; more in a row of transactions of
many rows, each of which writes nearly all pages of an index: of a million fingerprints that takes 2 s less."""

_Identity = tuple[int, int]


class Ledger:
    """The ledger. `begin()` gives a transaction that may write, `read()` one that does not.

    Made and brought up to date when it is first used. On Postgres, either raises `LedgerUnavailable` where the server
    is not there, or is lost in the middle; the same call may be repeated.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._parsed = _parsed(url)
        self._file = _file_of(self._parsed)
        self._engine: Engine | None = None
        self._opened: _Identity | None = None

    @contextmanager
    def begin(self, *, alone: bool = True) -> Generator[Connection]:
        """A transaction: committed at the end of the block, rolled back on an exception.

        Args:
            alone: Whether other writers wait until it ends, so that what it has read stays so. On SQLite they always
                do. False is for what is many rows, and safe beside any other transaction.
        """
        with self._telling(), self.engine.connect().execution_options(alone=alone) as db, db.begin():
            yield db

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A consistent view that takes no lock."""
        with self._telling(), self.engine.connect().execution_options(reads_only=True) as db:
            view = db if self._file else postgres.readers(db)
            with view.begin():
                yield view

    def write_back(self) -> None:
        """Writes SQLite's log into its file, where it has been long, as a later commit would; waits for nobody.

        Raises:
            LedgerReplaced: As `engine`.
        """
        log = self._file and self._file.with_name(f"{self._file.name}-wal")
        if log is None or not log.exists() or log.stat().st_size <= LOG_PAGES * PAGE:
            return
        import sqlite3

        with closing(self.engine.raw_connection()) as db, suppress(sqlite3.Error):  # a commit does not mind either
            db.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def to_itself(self, name: str, *, wait: bool = True) -> Generator[bool]:
        """Whether this process has `name` to itself, of all on any host, until the block ends or the process dies.

        On SQLite always: whoever shares that file has the same disk, and takes a lock on it.

        Args:
            name: What is done by one process at a time.
            wait: Until another one lets go; False gives False then.
        """
        if self._file:
            yield True
            return
        with self._telling():
            held = postgres.lock(self.engine, name, wait=wait)
        try:
            yield held is not None
        finally:
            if held is not None:
                held.close()

    @contextmanager
    def _telling(self) -> Generator[None]:
        try:
            yield
        except DBAPIError as error:
            told = None if self._file else postgres.unavailable(self._parsed, error)
            if told is None:
                raise
            raise told from None  # the original may show what was to be written

    @property
    def engine(self) -> Engine:
        """The engine, with the schema up to date.

        SQLite goes on writing into a file that was removed, without a word, and what was sent would be in no ledger.

        Raises:
            LedgerReplaced: Another file has taken the place of the one that was open, and what was read is of no
                use; the next call opens the other.
        """
        if self._engine is not None and self._file is not None and _identity(self._file) != self._opened:
            self.close()
            raise LedgerReplaced(
                f"{self._file} was removed or replaced by another while it was in use, so this stopped. "
                "Run it again: what was sent is looked for first."
            )
        if self._engine is None:
            self._engine, self._opened = _open(self._parsed, self._file)
            weakref.finalize(self, self._engine.dispose)  # of one that nobody closes
        return self._engine

    def close(self) -> None:
        """Gives its connections back."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _open(url: URL, file: Path | None) -> tuple[Engine, _Identity | None]:
    from batch_pipeline.ledger.migrations import upgrade

    if file is None:
        engine = postgres.engine_of(url)
        upgrade(engine)
        return engine, None
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})
    event.listen(engine, "connect", _durable)
    event.listen(engine, "begin", _immediate)
    # the change to WAL on a new file does not wait for its lock, whatever the time-out: one process at a time
    with FileLock(f"{file}.lock", mode=0o600):
        file.touch(mode=0o600)  # before SQLite makes it: the files of its log get the mode that this one has
        file.chmod(0o600)
        opened = _identity(file)  # before SQLite opens it: one that is replaced in between is opened once more
        upgrade(engine)
    return engine, opened


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InvalidSettings("BATCH_PIPELINE_LEDGER_URL is no SQLAlchemy URL.") from None
    if postgres.is_postgres(parsed) or (parsed.drivername.startswith("sqlite") and parsed.database):
        return parsed
    raise InvalidSettings(
        f"BATCH_PIPELINE_LEDGER_URL begins with `{parsed.drivername}`, and the ledger is on a file of SQLite "
        "(sqlite:///path) or on Postgres (postgresql://user@host/name)."
    )


def _file_of(url: URL) -> Path | None:
    return None if postgres.is_postgres(url) else Path(url.database or "")


def _identity(file: Path) -> _Identity | None:
    """Which file has that name now. Not used again while somebody has it open."""
    try:
        now = file.stat()
    except FileNotFoundError:
        return None
    return now.st_dev, now.st_ino


def _durable(connection: object, _record: object) -> None:
    sqlite = cast("SQLiteConnection", connection)
    # the log is cut back to 64 MiB when it was longer
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "journal_size_limit = 67108864"):
        sqlite.execute(f"PRAGMA {pragma}")


def _immediate(connection: Connection) -> None:
    """`BEGIN IMMEDIATE`: a transaction that reads before it writes must not be overtaken in between."""
    options = connection.get_execution_options()
    if options.get("reads_only", False):
        connection.exec_driver_sql("BEGIN")
        return
    pages = LOG_PAGES if options.get("alone", True) else MANY_LOG_PAGES
    connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint = {pages}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
