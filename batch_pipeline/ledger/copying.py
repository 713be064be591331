"""A ledger copied into another, table by table: read from a file that nobody may write meanwhile.

What a table holds is compared by its rows and by a sum over them: the same rows in any order have the same sum.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import quote

from sqlalchemy import JSON, ColumnElement, Connection, Table, Text, delete, insert, select, text
from sqlalchemy import cast as sql_cast
from sqlalchemy import create_engine as make_engine
from sqlalchemy.engine import make_url

from batch_pipeline.errors import LedgerUnavailable, UsageError
from batch_pipeline.ledger.engine import BUSY_SECONDS
from batch_pipeline.ledger.migrations import HEAD
from batch_pipeline.ledger.tables import jobs, meta, metadata, sends

NOTE = "moved_here"
"""In the `meta` of a ledger that is being copied into, or was: whose it is, since when, and when all was there."""
_OWN = {"meta", "budgets"}
"""Tables that a ledger has rows in as soon as it is opened."""
_CHUNK = 5_000


class Sum(NamedTuple):
    """What a table holds."""

    rows: int
    sum: int


def file_of(url: str) -> Path | None:
    """The file of a ledger; None of one on a server."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.drivername.startswith("sqlite") and parsed.database else None


def all_tables() -> list[Table]:
    """The ledger's tables, each after those that it refers to."""
    return metadata.sorted_tables


@contextmanager
def held(file: Path) -> Generator[Connection]:
    """A ledger's file, opened to read alone, while nobody else can write it.

    Raises:
        UsageError: There is none, or it is of another version.
        LedgerUnavailable: Others were writing it for longer than `BUSY_SECONDS`.
    """
    if not file.exists():
        raise UsageError(f"There is no ledger at {file}: nothing is to be moved from there.")
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)) as guard:
        try:
            guard.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise LedgerUnavailable(
                f"The ledger at {file} was written by others for {BUSY_SECONDS} s: stop what sends and collects, "
                f"and run this again ({error})."
            ) from None
        engine = make_engine("sqlite://", creator=lambda: _read_only(file))
        try:
            with engine.connect() as db:
                _must_be_current(db, file)
                yield db
        finally:
            engine.dispose()
            guard.execute("ROLLBACK")


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)


def _must_be_current(db: Connection, file: Path) -> None:
    if db.scalar(text("SELECT version_num FROM alembic_version")) != HEAD:
        raise UsageError(
            f"The ledger at {file} is of another version: run `batch-pipeline doctor` once, and this again."
        )


def unsettled(db: Connection) -> list[str]:
    """What must not be moved in the middle: batches that are being sent, jobs that are being planned.

    A process that is about to send would go on with the ledger that it knows. What is at the provider already, and what
    a person is to decide about, is in the rows.
    """
    sending = select(sends.c.batch_id).where(sends.c.remote_id.is_(None), sends.c.end.is_(None), sends.c.held.is_(None))
    planning = select(jobs.c.job_id).where(jobs.c.planned_at.is_(None), jobs.c.closed_at.is_(None))
    return [*db.scalars(sending.order_by(sends.c.batch_id)), *db.scalars(planning.order_by(jobs.c.job_id))]


def note(db: Connection) -> Mapping[str, object] | None:
    """Who moved a ledger here, if anybody did."""
    found = db.scalar(select(meta.c.value).where(meta.c.name == NOTE))
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def put_note(db: Connection, value: Mapping[str, object]) -> None:
    """Says who moves a ledger here."""
    db.execute(delete(meta).where(meta.c.name == NOTE))
    db.execute(insert(meta).values(name=NOTE, value=dict(value)))


def has_data(db: Connection) -> bool:
    """Whether anything was ever done with a ledger."""
    others = [table for table in all_tables() if table.name not in _OWN]
    return any(db.execute(select(table).limit(1)).first() is not None for table in others)


def sum_of(db: Connection, table: Table) -> Sum:
    """What a table holds, the note aside."""
    rows = total = 0
    for row in rows_of(db, table):
        rows += 1
        canonical = json.dumps(row, default=repr, ensure_ascii=True)
        total += int.from_bytes(blake2b(canonical.encode(), digest_size=8).digest())
    return Sum(rows, total)


def clear(db: Connection) -> None:
    """Empties all tables, the note aside."""
    for table in reversed(all_tables()):
        db.execute(delete(table).where(table.c.name != NOTE) if table is meta else delete(table))


def copy(source: Connection, target: Connection, table: Table) -> None:
    """Puts the rows of a table into the other ledger's, in place of those that are there."""
    if table.name in _OWN:
        target.execute(delete(table).where(table.c.name != NOTE) if table is meta else delete(table))
    for chunk in _chunks(rows_of(source, table)):
        for columns, rows in _by_columns(table, chunk):
            target.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in rows])
    _count_on(target, table)


def _count_on(target: Connection, table: Table) -> None:
    """What numbers its rows by itself goes on behind those that were copied: Postgres counts apart from the rows."""
    numbered = table.autoincrement_column
    if numbered is None or target.dialect.name != "postgresql" or table.c[numbered.name].autoincrement is not True:
        return
    target.execute(
        text(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', '{numbered.name}'), "  # noqa: S608 - our own names
            f"(SELECT coalesce(max({numbered.name}), 0) + 1 FROM {table.name}), false)"
        )
    )


def rows_of(db: Connection, table: Table) -> Iterator[tuple[object, ...]]:
    """The rows; JSON as text, so that a JSON null and no value at all stay two things."""
    columns = [_plain(column) for column in table.columns]
    asked = select(*columns).where(table.c.name != NOTE) if table is meta else select(*columns)
    places = [place for place, column in enumerate(table.columns) if isinstance(column.type, JSON)]
    found = db.execution_options(yield_per=_CHUNK).execute(asked)
    for row in found:
        values = cast("list[object]", list(row))
        for place in places:
            if isinstance(given := values[place], str):
                values[place] = json.dumps(json.loads(given), sort_keys=True)
        yield tuple(values)


def _plain(column: ColumnElement[object]) -> ColumnElement[object]:
    if not isinstance(column.type, JSON):
        return column
    return cast("ColumnElement[object]", sql_cast(column, Text))


def _by_columns(
    table: Table, rows: Sequence[tuple[object, ...]]
) -> Iterator[tuple[list[str], list[tuple[object, ...]]]]:
    """Rows by the columns that they have a value in: JSON that is left out is NULL, and `None` would be JSON's null."""
    kinds = [isinstance(column.type, JSON) for column in table.columns]
    names = [column.name for column in table.columns]
    groups: dict[tuple[bool, ...], list[tuple[object, ...]]] = {}
    for row in rows:
        given = tuple(value is not None or not kind for value, kind in zip(row, kinds, strict=True))
        parsed = tuple(
            json.loads(value) if kind and isinstance(value, str) else value
            for value, kind in zip(row, kinds, strict=True)
        )
        groups.setdefault(given, []).append(tuple(v for v, keep in zip(parsed, given, strict=True) if keep))
    for given, kept in groups.items():
        yield [name for name, keep in zip(names, given, strict=True) if keep], kept


def _chunks(rows: Iterable[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    chunk: list[tuple[object, ...]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
