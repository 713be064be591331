"""Connections to the ledger: SQLite by default, any other database by URL."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from sqlite3 import Connection as SQLiteConnection

BUSY_SECONDS = 60


class Ledger:
    """The ledger. `begin()` gives a transaction that may write, `read()` one that does not.

    Made and brought up to date when it is first used.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: Engine | None = None

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
        """The engine, with the schema up to date."""
        if self._engine is None:
            self._engine = _open(self.url)
        return self._engine

    def close(self) -> None:
        """Gives its connections back."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _open(url: str) -> Engine:
    from batch_pipeline.ledger.migrations import upgrade

    parsed = make_url(url)
    if not parsed.drivername.startswith("sqlite") or not parsed.database:
        engine = create_engine(parsed)
        upgrade(engine)
        return engine
    file = Path(parsed.database)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})
    event.listen(engine, "connect", _durable)
    event.listen(engine, "begin", _immediate)
    # the change to WAL on a new file does not wait for its lock, whatever the time-out: one process at a time
    with FileLock(f"{file}.lock", mode=0o600):
        file.touch(mode=0o600)  # before SQLite makes it: the files of its log get the mode that this one has
        file.chmod(0o600)
        upgrade(engine)
    return engine


def _durable(connection: object, _record: object) -> None:
    sqlite = cast("SQLiteConnection", connection)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        sqlite.execute(f"PRAGMA {pragma}")


def _immediate(connection: Connection) -> None:
    """`BEGIN IMMEDIATE`: a transaction that reads before it writes must not be overtaken in between."""
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
