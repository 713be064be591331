"""Connections to the ledger: SQLite by default, any other database by URL."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from batch_pipeline.errors import LedgerReplaced

if TYPE_CHECKING:
    from sqlite3 import Connection as SQLiteConnection

BUSY_SECONDS = 60

_Identity = tuple[int, int]


class Ledger:
    """The ledger. `begin()` gives a transaction that may write, `read()` one that does not.

    Made and brought up to date when it is first used.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._file = _file_of(url)
        self._engine: Engine | None = None
        self._opened: _Identity | None = None

    @contextmanager
    def begin(self) -> Generator[Connection]:
        """A transaction: committed at the end of the block, rolled back on an exception."""
        with self.engine.begin() as db:
            yield db

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A consistent view that takes no lock."""
        with self.engine.connect().execution_options(reads_only=True) as db, db.begin():
            yield db

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
            self._engine, self._opened = _open(self.url)
        return self._engine

    def close(self) -> None:
        """Gives its connections back."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _open(url: str) -> tuple[Engine, _Identity | None]:
    from batch_pipeline.ledger.migrations import upgrade

    file = _file_of(url)
    if file is None:
        engine = create_engine(url)
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


def _file_of(url: str) -> Path | None:
    parsed = make_url(url)
    return Path(parsed.database) if parsed.drivername.startswith("sqlite") and parsed.database else None


def _identity(file: Path) -> _Identity | None:
    """Which file has that name now. Not used again while somebody has it open."""
    try:
        now = file.stat()
    except FileNotFoundError:
        return None
    return now.st_dev, now.st_ino


def _durable(connection: object, _record: object) -> None:
    sqlite = cast("SQLiteConnection", connection)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        sqlite.execute(f"PRAGMA {pragma}")


def _immediate(connection: Connection) -> None:
    """`BEGIN IMMEDIATE`: a transaction that reads before it writes must not be overtaken in between."""
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
