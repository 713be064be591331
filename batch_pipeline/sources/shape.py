"""From what GitHub's REST API calls an issue or a comment to our columns, in one pass of SQL over JSON.

Both sources go through here: a page of the API, and files of whatever origin once their rows are JSON objects.
https://docs.github.com/en/rest/issues/issues#list-repository-issues has the shape.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from tempfile import gettempdir
from typing import TYPE_CHECKING

from batch_pipeline.sources.repo_name import FORBIDDEN, REPO_NAME
from batch_pipeline.warehouse.issues import COMMENT_COLUMNS, ISSUE_COLUMNS, ArrowStream

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

_BATCH_ROWS = 1_000
"""Rows handed over at once: bodies of 200 kB make this 200 MB at the worst."""


@dataclass(frozen=True)
class Problem:
    """A file, or a row of it, that was left out. `line` counts from 1, and is None where no line is to blame."""

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@contextmanager
def reading_room() -> Generator[DuckDBPyConnection]:
    """A DuckDB in memory with an empty table `items`, in which rows are read and shaped.

    It is not the warehouse, holds no lock, and a row that can't be read leaves no transaction behind.
    """
    import duckdb

    # what does not fit into memory goes to the system's folder for such things, and not to the working directory
    with duckdb.connect(config={"temp_directory": gettempdir()}) as connection:
        connection.execute(_sql("items.sql"))
        yield connection


def shape_issues(connection: DuckDBPyConnection, default_repo: str | None = None) -> None:
    """Makes the table `shaped` of `items`: one row an item, with its columns, or with `problem` set."""
    connection.execute(_sql("issues.sql"), {"repo": default_repo, "name": REPO_NAME, "forbidden": FORBIDDEN})
    connection.execute("TRUNCATE items")


def shaped_issues(connection: DuckDBPyConnection) -> ArrowStream:
    """The good rows of `shaped`, in the order of the files, with `ISSUE_COLUMNS`."""
    good = connection.table("shaped").filter("problem IS NULL AND NOT pull_request").order("ordinal")
    return _stream(good.select(*ISSUE_COLUMNS))


def shape_problems(connection: DuckDBPyConnection) -> list[Problem]:
    """The rows of `shaped` that can't be taken, and why."""
    rows = connection.execute(_PROBLEMS).fetchall()
    return [Problem(file, line, message) for file, line, message in rows]


def repo_counts(connection: DuckDBPyConnection) -> dict[str, int]:
    """Issues per repository among the good rows."""
    return dict(connection.execute(_PER_REPO).fetchall())


def shaped_record_ids(connection: DuckDBPyConnection) -> tuple[str, ...]:
    """The good rows of `shaped`: their ids, each once, in the order of the files."""
    return tuple(str(record_id) for (record_id,) in connection.execute(_RECORD_IDS).fetchall())


def pull_request_count(connection: DuckDBPyConnection) -> int:
    """How many items are pull requests, and so left out."""
    row = connection.execute("SELECT count(*) FROM shaped WHERE pull_request").fetchone()
    return int(row[0]) if row else 0


def shaped_comments(connection: DuckDBPyConnection, repo: str) -> ArrowStream:
    """The comments on issues among `items`, with `COMMENT_COLUMNS`; those on pull requests are left out."""
    connection.execute(_sql("comments.sql"), {"repo": repo})
    return _stream(connection.table("shaped_comments").select(*COMMENT_COLUMNS))


def _stream(rows: DuckDBPyRelation) -> ArrowStream:
    return rows.to_arrow_reader(_BATCH_ROWS)


def _sql(name: str) -> str:
    return (files("batch_pipeline.sources") / "sql" / name).read_text(encoding="utf-8")


_PROBLEMS = """
SELECT file, line, CASE WHEN place IS NULL OR line IS NOT NULL THEN problem ELSE place || ': ' || problem END
FROM shaped
WHERE problem IS NOT NULL
ORDER BY ordinal
"""

_PER_REPO = """
SELECT repo, count(*)
FROM shaped
WHERE problem IS NULL AND NOT pull_request
GROUP BY repo
ORDER BY repo
"""

_RECORD_IDS = """
SELECT record_id
FROM shaped
WHERE problem IS NULL AND NOT pull_request
GROUP BY record_id
ORDER BY min(ordinal)
"""
