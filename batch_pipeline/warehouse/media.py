"""The tables that show what lies in a folder: images, documents and chunks of files. The only code that writes them.

A load takes the time at which it began as its mark. What it finds replaces what older loads found under that path, or
under that record's name; what older loads found in the folder, and it does not, is forgotten. Of two loads at a time,
the one that began later is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image of a post. Width and height are those of the upright image; `error` says why it can't be used."""

    post: str
    position: int
    path: str
    sha256: str
    bytes: int
    width: int | None = None
    height: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A PDF. `has_text` is false of a scan; `error` says why it can't be used."""

    record_id: str
    path: str
    sha256: str
    bytes: int
    pages: int | None = None
    title: str | None = None
    has_text: bool | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class PageRow:
    """The text of a page, from 1, of the document with that content."""

    sha256: str
    page: int
    text: str


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """Lines `start_line` to `end_line` of a text file, from 1; `sha256` is that of the whole file."""

    record_id: str
    name: str
    path: str
    chunk: int
    start_line: int
    end_line: int
    text: str
    sha256: str
    language: str | None
    tokens: int


Row = ImageRow | DocumentRow | ChunkRow


@dataclass(frozen=True, slots=True)
class Folder:
    """A table that shows what lies in folders, and the column that names its records."""

    table: str
    record: str


IMAGES, DOCUMENTS, CHUNKS = Folder("images", "post"), Folder("documents", "record_id"), Folder("file_chunks", "name")


def known_images(connection: DuckDBPyConnection, paths: Sequence[str]) -> dict[str, ImageRow]:
    """What is known of these files, by path."""
    rows = connection.execute(_KNOWN_IMAGES, [list(paths)]).fetchall()
    return {row.path: row for row in (ImageRow(*values) for values in rows)}


def known_documents(connection: DuckDBPyConnection, paths: Sequence[str]) -> dict[str, DocumentRow]:
    """What is known of these files, by path."""
    rows = connection.execute(_KNOWN_DOCUMENTS, [list(paths)]).fetchall()
    return {row.path: row for row in (DocumentRow(*values) for values in rows)}


def known_files(connection: DuckDBPyConnection, paths: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Name and SHA-256 of those of these files that have chunks, by path."""
    rows = connection.execute(_KNOWN_FILES, [list(paths)]).fetchall()
    return {path: (name, sha256) for path, name, sha256 in rows}


def put(connection: DuckDBPyConnection, folder: Folder, rows: Sequence[Row], at: datetime) -> None:
    """Writes what a load that began at `at` found, in place of what older loads did.

    Args:
        connection: Of `Warehouse.write()`.
        folder: The table.
        rows: What was found, of whole files.
        at: The load's mark.
    """
    if rows:
        _register(connection, [{**asdict(row), "loaded_at": at} for row in rows])
        for sql in (_REPLACE, _INSERT):
            connection.execute(sql.format(table=folder.table, record=folder.record), {"at": at})
        connection.unregister("incoming_rows")


def put_pages(connection: DuckDBPyConnection, rows: Iterable[PageRow]) -> None:
    """Writes the pages of documents; the same content is there once."""
    if told := [asdict(row) for row in rows]:
        _register(connection, told)
        connection.execute(_INSERT_PAGES)
        connection.unregister("incoming_rows")


def forget(connection: DuckDBPyConnection, folder: Folder, place: Path, at: datetime) -> None:
    """Drops what lies below `place` no more: what loads before `at` found."""
    connection.execute(_FORGET.format(table=folder.table), {"below": f"{place}/", "at": at})
    if folder is DOCUMENTS:
        connection.execute(_FORGET_PAGES)


def stay(connection: DuckDBPyConnection, folder: Folder, paths: Sequence[str], at: datetime) -> None:
    """Marks what is known of these files as found again."""
    connection.execute(_STAY.format(table=folder.table), {"paths": list(paths), "at": at})


def count_below(connection: DuckDBPyConnection, folder: Folder, place: Path) -> tuple[int, int]:
    """Files that are known below `place`, and their rows."""
    row = connection.execute(_BELOW.format(table=folder.table), [f"{place}/"]).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _register(connection: DuckDBPyConnection, rows: list[dict[str, object]]) -> None:
    import pyarrow as pa

    table: pa.Table = pa.Table.from_pylist(rows)
    connection.register("incoming_rows", table)


_KNOWN_IMAGES = """
SELECT post, position, path, sha256, bytes, width, height, error FROM images WHERE path IN (SELECT unnest(?))
"""

_KNOWN_DOCUMENTS = """
SELECT record_id, path, sha256, bytes, pages, title, has_text, error FROM documents WHERE path IN (SELECT unnest(?))
"""

_KNOWN_FILES = "SELECT DISTINCT path, name, sha256 FROM file_chunks WHERE path IN (SELECT unnest(?))"

_BELOW = "SELECT count(DISTINCT path), count(*) FROM {table} WHERE starts_with(path, ?)"

_REPLACE = """
DELETE FROM {table}
WHERE loaded_at < $at
    AND (path IN (SELECT path FROM incoming_rows) OR {record} IN (SELECT {record} FROM incoming_rows))
"""

_INSERT = """
INSERT INTO {table} BY NAME
SELECT *
FROM incoming_rows
WHERE path NOT IN (SELECT path FROM {table} WHERE loaded_at > $at)
    AND {record} NOT IN (SELECT {record} FROM {table} WHERE loaded_at > $at)
"""

_INSERT_PAGES = """
INSERT INTO document_pages BY NAME
SELECT DISTINCT * FROM incoming_rows WHERE sha256 NOT IN (SELECT sha256 FROM document_pages)
"""

_FORGET = "DELETE FROM {table} WHERE loaded_at < $at AND starts_with(path, $below)"

_FORGET_PAGES = "DELETE FROM document_pages WHERE sha256 NOT IN (SELECT sha256 FROM documents)"

_STAY = "UPDATE {table} SET loaded_at = $at WHERE loaded_at < $at AND path IN (SELECT unnest($paths))"
