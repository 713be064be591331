"""What survives a restart: files, batches and books in one SQLite database, contents beside it.

    <state_dir>/server.db         the owner's alone, as is everything here
    <state_dir>/files/<file id>   contents as clients uploaded them, or as batches made them
    <state_dir>/running/          input and rows of batches that have not ended

One connection, used by the event loop's thread alone, so that nothing here needs a lock. `synchronous=NORMAL`: a
process that is killed loses nothing; a power cut may lose the last moments of a simulation.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter

from batch_pipeline.local_server.faults import BatchFault
from batch_pipeline.local_server.records import BatchRecord, FileRecord
from batch_pipeline.wire.batch import BatchObject, BatchUsage
from batch_pipeline.wire.file import FileObject
from batch_pipeline.wire.messages import MESSAGES

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    position   INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    account    TEXT NOT NULL,
    object     TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    visible_at REAL NOT NULL,
    deleted_at REAL
);
CREATE TABLE IF NOT EXISTS batches (
    position       INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    account        TEXT NOT NULL,
    object         TEXT NOT NULL,
    ended          INTEGER NOT NULL,
    created        REAL NOT NULL,
    listed_at      REAL NOT NULL,
    output_seconds INTEGER NOT NULL,
    faults         TEXT NOT NULL,
    tokens         INTEGER NOT NULL,
    files_at       REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS batches_that_run ON batches (ended) WHERE ended = 0;
CREATE TABLE IF NOT EXISTS books (
    batch_id       TEXT PRIMARY KEY,
    account        TEXT NOT NULL,
    created        REAL NOT NULL,
    input_file_id  TEXT NOT NULL,
    input_filename TEXT,
    input_sha256   TEXT,
    metadata       TEXT NOT NULL,
    lines_executed INTEGER NOT NULL DEFAULT 0,
    inputs_embedded INTEGER NOT NULL DEFAULT 0,
    input_tokens   INTEGER NOT NULL DEFAULT 0,
    cached_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens  INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS realtime (
    requests      INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL
);
INSERT INTO realtime SELECT 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM realtime);
"""

INSERT_FILE = "INSERT INTO files (id, account, object, sha256, visible_at, deleted_at) VALUES (?, ?, ?, ?, ?, ?)"
SELECT_FILE = "SELECT account, object, sha256, visible_at, deleted_at FROM files WHERE id = ?"
SELECT_FILES = """
SELECT account, object, sha256, visible_at, deleted_at FROM files
WHERE account = :account AND (:purpose IS NULL OR object ->> 'purpose' = :purpose)
  AND visible_at <= :now AND coalesce(deleted_at, 1e18) > :now AND coalesce(object ->> 'expires_at', 1e18) > :now
  AND (:after IS NULL OR position {beyond} (SELECT position FROM files WHERE id = :after))
ORDER BY position {order} LIMIT :limit
"""
SELECT_KEPT = """
SELECT account, object, sha256, visible_at, deleted_at FROM files WHERE coalesce(deleted_at, 1e18) > ?
"""
INSERT_BATCH = """
INSERT INTO batches (id, account, object, ended, created, listed_at, output_seconds, faults, tokens, files_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
UPDATE_BATCH = "UPDATE batches SET object = ?, ended = ?, tokens = ?, files_at = ? WHERE id = ?"
BATCH_COLUMNS = "account, object, created, listed_at, output_seconds, faults, tokens, files_at"
SELECT_BATCH = f"SELECT {BATCH_COLUMNS} FROM batches WHERE id = ? AND account = ?"  # noqa: S608 - columns named above
SELECT_RUNNING = f"SELECT {BATCH_COLUMNS} FROM batches WHERE ended = 0 ORDER BY position"  # noqa: S608 - as above
SELECT_BATCHES = f"""
SELECT {BATCH_COLUMNS} FROM batches
WHERE account = :account AND listed_at <= :now AND (object ->> 'endpoint' = '/v1/messages') = :messages
  AND (:after IS NULL OR position {{beyond}} (SELECT position FROM batches WHERE id = :after))
ORDER BY position {{order}} LIMIT :limit
"""  # noqa: S608 - as above
ADD_INPUTS = "ALTER TABLE books ADD COLUMN inputs_embedded INTEGER NOT NULL DEFAULT 0"
"""To a state that was made before there were embeddings."""

ENTER_BOOKS = """
INSERT INTO books (batch_id, account, created, input_file_id, input_filename, input_sha256, metadata)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
BOOK_LINES = """
UPDATE books
SET lines_executed = ?, inputs_embedded = ?, input_tokens = ?, cached_tokens = ?, output_tokens = ?
WHERE batch_id = ?
"""
QUEUED_TOKENS = """
SELECT coalesce(sum(tokens), 0) FROM batches
WHERE ended = 0 AND account = ? AND object ->> 'model' = ? AND id <> ?
"""

_FAULTS: TypeAdapter[list[BatchFault]] = TypeAdapter(list[BatchFault])
_METADATA: TypeAdapter[dict[str, str] | None] = TypeAdapter(dict[str, str] | None)


@dataclass(frozen=True, slots=True)
class Page:
    """Which entries of a listing are asked for."""

    limit: int
    after: str | None = None
    newest_first: bool = True


class Store:
    """The state of one server. Opened, used and closed by one thread."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.running = folder / "running"
        for path in (folder, self.files, self.running):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = folder / "server.db"
        database.touch(mode=0o600)
        self._sql = sqlite3.connect(database, isolation_level=None)
        self._sql.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + SCHEMA)
        if not any(column["name"] == "inputs_embedded" for column in self.rows("PRAGMA table_info(books)")):
            self._sql.execute(ADD_INPUTS)

    def close(self) -> None:
        """Ends the connection."""
        self._sql.close()

    @contextmanager
    def together(self) -> Generator[None]:
        """All that is written inside is written, or nothing of it."""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._sql.execute("ROLLBACK")
            raise
        self._sql.execute("COMMIT")

    def path_of(self, file_id: str) -> Path:
        """Where a file's content lies."""
        return self.files / file_id

    def add_file(self, record: FileRecord) -> None:
        """Takes a file in; its content is there already."""
        shown = record.object
        values = (record.account, shown.model_dump_json(), record.sha256, record.visible_at, record.deleted_at)
        self._sql.execute(INSERT_FILE, (shown.id, *values))

    def file(self, account: str, file_id: str) -> FileRecord | None:
        """The file, if this account can see it now."""
        row = self._sql.execute(SELECT_FILE, (file_id,)).fetchone()
        record = _file(row) if row else None
        return record if record and record.account == account and record.visible(time.time()) else None

    def list_files(self, account: str, page: Page, purpose: str | None) -> list[FileRecord]:
        """The files that this account can see now."""
        sql = _in_order(SELECT_FILES, page)
        values = {
            "account": account,
            "purpose": purpose,
            "now": time.time(),
            "after": page.after,
            "limit": page.limit,
        }
        return [_file(row) for row in self._sql.execute(sql, values)]

    def delete_file(self, file_id: str, at: float) -> None:
        """Lets a file vanish at that time; its content is taken away by `sweep`."""
        self._sql.execute("UPDATE files SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL", (at, file_id))

    def sweep(self) -> None:
        """Takes away contents of files that are gone, and of files that were never taken in."""
        now = time.time()
        rows = self._sql.execute(SELECT_KEPT, (now,))
        kept = {record.object.id for record in map(_file, rows) if (record.object.expires_at or now + 1) > now}
        for path in self.files.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def forget_content(self, file_id: str) -> None:
        """Takes away the content of one file."""
        self.path_of(file_id).unlink(missing_ok=True)

    def add_batch(self, record: BatchRecord) -> None:
        """Takes a batch in."""
        shown = record.object
        self._sql.execute(
            INSERT_BATCH,
            (
                shown.id,
                record.account,
                shown.model_dump_json(),
                shown.ended,
                record.created,
                record.listed_at,
                record.output_seconds,
                _FAULTS.dump_json(record.faults).decode(),
                record.tokens,
                record.files_at,
            ),
        )

    def save_batch(self, record: BatchRecord) -> None:
        """Writes down where a batch is."""
        values = (record.object.model_dump_json(), record.object.ended, record.tokens, record.files_at, record.id)
        self._sql.execute(UPDATE_BATCH, values)

    def batch(self, account: str, batch_id: str) -> BatchRecord | None:
        """The batch, if it is this account's."""
        row = self._sql.execute(SELECT_BATCH, (batch_id, account)).fetchone()
        return _batch(row) if row else None

    def list_batches(self, account: str, page: Page, endpoint: str = "") -> list[BatchRecord]:
        """The batches of this account that are listed by now: those of messages, or all others."""
        values = {
            "account": account,
            "now": time.time(),
            "after": page.after,
            "limit": page.limit,
            "messages": endpoint == MESSAGES,
        }
        return [_batch(row) for row in self._sql.execute(_in_order(SELECT_BATCHES, page), values)]

    def forget_batch(self, batch_id: str) -> None:
        """No account sees the batch any more; the books keep it."""
        self._sql.execute("UPDATE batches SET account = '' WHERE id = ?", (batch_id,))

    def running_batches(self) -> list[BatchRecord]:
        """Those that have not ended, of every account."""
        return [_batch(row) for row in self._sql.execute(SELECT_RUNNING)]

    def queued_tokens(self, batch: BatchRecord) -> int:
        """Input tokens that other batches of its account and model hold."""
        values = (batch.account, batch.object.model, batch.id)
        return cast(int, self._sql.execute(QUEUED_TOKENS, values).fetchone()[0])

    def enter_books(
        self,
        batch: BatchRecord,
        metadata: dict[str, str] | None,
        given: FileRecord | None,
        body_sha256: str | None = None,
    ) -> None:
        """A batch was created, with this metadata, of this file (None: there is no such file), or of a body."""
        shown = batch.object
        name, sha256 = (given.object.filename, given.sha256) if given else (None, body_sha256)
        written = _METADATA.dump_json(metadata).decode()
        self._sql.execute(
            ENTER_BOOKS, (shown.id, batch.account, batch.created, shown.input_file_id, name, sha256, written)
        )

    def book_lines(self, batch_id: str, lines: int, inputs: int, usage: BatchUsage) -> None:
        """So many lines of a batch were executed so far, so many inputs embedded, and this is billed for them."""
        cached = usage.input_tokens_details.cached_tokens
        self._sql.execute(BOOK_LINES, (lines, inputs, usage.input_tokens, cached, usage.output_tokens, batch_id))

    def book_realtime(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> None:
        """A realtime request was answered."""
        self._sql.execute(
            "UPDATE realtime SET requests = requests + 1, input_tokens = input_tokens + ?,"
            " cached_tokens = cached_tokens + ?, output_tokens = output_tokens + ?",
            (input_tokens, cached_tokens, output_tokens),
        )

    def rows(self, sql: str) -> list[dict[str, object]]:
        """What a query finds, each row by its columns' names."""
        cursor = self._sql.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def owner_only(path: str, flags: int) -> int:
    """An `opener` for `open()`: what is made is the owner's alone."""
    return os.open(path, flags, 0o600)


def _in_order(sql: str, page: Page) -> str:
    return sql.format(order="DESC" if page.newest_first else "ASC", beyond="<" if page.newest_first else ">")


def _file(row: tuple[str, str, str, float, float | None]) -> FileRecord:
    account, shown, sha256, visible_at, deleted_at = row
    return FileRecord(account, FileObject.model_validate_json(shown), sha256, visible_at, deleted_at)


def _batch(row: tuple[str, str, float, float, int, str, int, float]) -> BatchRecord:
    account, shown, created, listed_at, output_seconds, faults, tokens, files_at = row
    return BatchRecord(
        account=account,
        object=BatchObject.model_validate_json(shown),
        created=created,
        listed_at=listed_at,
        output_seconds=output_seconds,
        faults=_FAULTS.validate_json(faults),
        tokens=tokens,
        files_at=files_at,
    )
