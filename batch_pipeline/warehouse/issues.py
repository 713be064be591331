"""The issue tables: the only code that writes them, and what they hold, counted.

A version is added when it says something new, and nothing is ever changed or deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ISSUE_COLUMNS = (
    "record_id", "repo", "number", "state", "title", "body", "labels", "author", "comment_count", "reactions",
    "url", "created_at", "updated_at", "closed_at", "extra", "source",
)  # fmt: skip
"""What `add_issues` wants, in any order; `org`, `name`, `night`, `collected_at` and `content_hash` are added here."""

COMMENT_COLUMNS = (
    "comment_id", "record_id", "repo", "author", "body", "reactions", "url", "created_at", "updated_at", "source",
)  # fmt: skip
"""What `add_comments` wants, in any order."""


class ArrowStream(Protocol):
    """Rows on their way from one DuckDB to another, such as a table or a reader of pyarrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows, by Arrow's C interface."""
        ...


@dataclass(frozen=True)
class Added:
    """How many rows were added, and how many said what was known already."""

    added: int = 0
    unchanged: int = 0

    def __add__(self, other: Added) -> Added:
        return Added(self.added + other.added, self.unchanged + other.unchanged)


@dataclass(frozen=True)
class RepoCount:
    """What the warehouse holds of one repository.

    `newest_night` is the last night that added an issue, `newest_update` the latest change at the source (UTC).
    """

    repo: str
    issues: int
    comments: int
    newest_night: date | None
    newest_update: datetime | None


def add_issues(connection: DuckDBPyConnection, rows: ArrowStream, night: date, collected_at: datetime) -> Added:
    """Adds the issues that are new, or whose title, body, state or labels changed.

    Args:
        connection: Of `Warehouse.write()`.
        rows: `ISSUE_COLUMNS`, one row a version; of rows with the same id and `updated_at` the last one counts.
        night: The partition that they are collected for.
        collected_at: When they were read.
    """
    return _add(connection, _ISSUES, rows, night, collected_at)


def add_comments(connection: DuckDBPyConnection, rows: ArrowStream, night: date, collected_at: datetime) -> Added:
    """Adds the comments that are new, or whose body changed; `rows` has `COMMENT_COLUMNS`. See `add_issues`."""
    return _add(connection, _COMMENTS, rows, night, collected_at)


def issue_counts(connection: DuckDBPyConnection) -> list[RepoCount]:
    """What there is, a row per repository, by name."""
    rows = connection.execute(_COUNTS).fetchall()
    return [
        RepoCount(repo, issues, comments, night, updated and updated.replace(tzinfo=UTC))
        for repo, issues, comments, night, updated in rows
    ]


def repos_with_issues(connection: DuckDBPyConnection, night: date) -> list[str]:
    """The repositories to which that night added issues, by name."""
    return [repo for (repo,) in connection.execute(_REPOS_OF_NIGHT, [night]).fetchall()]


@dataclass(frozen=True)
class _Kind:
    """The SQL of one table: what came, what of it is known, and how the new rows are written."""

    stage: str
    keys: str
    known: str
    insert: str


def _add(connection: DuckDBPyConnection, kind: _Kind, rows: ArrowStream, night: date, collected_at: datetime) -> Added:
    connection.register("incoming_rows", rows)
    try:
        connection.execute(kind.stage)
        for sql in (kind.keys, kind.known, _NEW):
            connection.execute(sql)
        added = _count(connection, kind.insert, night, collected_at)
        return Added(added, _count(connection, "SELECT count(*) FROM incoming") - added)
    finally:
        connection.unregister("incoming_rows")


def _count(connection: DuckDBPyConnection, sql: str, *parameters: object) -> int:
    row = connection.execute(sql, list(parameters)).fetchone()
    return int(row[0]) if row else 0


_NEW = """
-- A row is new when it says something else than the version that stands just before it in time, and than the one
-- just after it, if that is known: so what was loaded once adds nothing when it is loaded again, in whatever order.
CREATE OR REPLACE TEMP TABLE new_rows AS
WITH last_said AS (
    SELECT key, updated_at, content_hash, ordinal
    FROM incoming_keys
    QUALIFY row_number() OVER (PARTITION BY key, updated_at ORDER BY ordinal DESC) = 1
),
timeline AS (
    SELECT key, updated_at, content_hash, ordinal, NULL::TIMESTAMPTZ AS collected_at FROM last_said
    UNION ALL
    SELECT key, updated_at, content_hash, NULL, collected_at FROM known_keys
),
compared AS (
    SELECT
        ordinal,
        content_hash,
        lag(content_hash) OVER in_time AS hash_before,
        lead(CASE WHEN ordinal IS NULL THEN content_hash END) OVER in_time AS known_after
    FROM timeline
    WINDOW in_time AS (PARTITION BY key ORDER BY updated_at NULLS FIRST, ordinal NULLS FIRST, collected_at)
)
SELECT ordinal
FROM compared
WHERE ordinal IS NOT NULL
    AND content_hash IS DISTINCT FROM hash_before
    AND content_hash IS DISTINCT FROM known_after
"""

_ISSUES = _Kind(
    stage="""
        CREATE OR REPLACE TEMP TABLE incoming AS
        SELECT
            *,
            row_number() OVER () AS ordinal,
            sha256(to_json({
                'title': title,
                'body': coalesce(body, ''),
                'state': coalesce(state, ''),
                'labels': list_sort(coalesce(labels, []))
            })) AS content_hash
        FROM incoming_rows
    """,
    keys="""
        CREATE OR REPLACE TEMP VIEW incoming_keys AS
        SELECT record_id AS key, updated_at, content_hash, ordinal FROM incoming
    """,
    known="""
        CREATE OR REPLACE TEMP TABLE known_keys AS
        SELECT record_id AS key, updated_at, content_hash, collected_at
        FROM issue_versions
        WHERE record_id IN (SELECT record_id FROM incoming)
    """,
    insert="""
        INSERT INTO issue_versions BY NAME
        SELECT
            record_id,
            repo,
            split_part(repo, '/', 1) AS org,
            split_part(repo, '/', 2) AS name,
            number,
            state,
            title,
            body,
            labels,
            author,
            comment_count,
            reactions,
            url,
            created_at,
            updated_at,
            closed_at,
            extra::JSON AS extra,
            ?::DATE AS night,
            ?::TIMESTAMPTZ AS collected_at,
            content_hash,
            source
        FROM incoming
        WHERE ordinal IN (SELECT ordinal FROM new_rows)
        ORDER BY ordinal
    """,
)

_COMMENTS = _Kind(
    stage="""
        CREATE OR REPLACE TEMP TABLE incoming AS
        SELECT *, row_number() OVER () AS ordinal, sha256(coalesce(body, '')) AS content_hash
        FROM incoming_rows
    """,
    keys="""
        CREATE OR REPLACE TEMP VIEW incoming_keys AS
        SELECT comment_id AS key, updated_at, content_hash, ordinal FROM incoming
    """,
    known="""
        CREATE OR REPLACE TEMP TABLE known_keys AS
        SELECT comment_id AS key, updated_at, content_hash, collected_at
        FROM issue_comments
        WHERE comment_id IN (SELECT comment_id FROM incoming)
    """,
    insert="""
        INSERT INTO issue_comments BY NAME
        SELECT
            comment_id,
            record_id,
            repo,
            author,
            body,
            reactions,
            url,
            created_at,
            updated_at,
            ?::DATE AS night,
            ?::TIMESTAMPTZ AS collected_at,
            content_hash,
            source
        FROM incoming
        WHERE ordinal IN (SELECT ordinal FROM new_rows)
        ORDER BY ordinal
    """,
)

_COUNTS = """
WITH per_repo AS (
    SELECT repo, count(*) AS issues, max(night) AS newest_night, max(updated_at) AS newest_update
    FROM issues
    GROUP BY repo
),
commented AS (
    SELECT repo, count(DISTINCT comment_id) AS comments FROM issue_comments GROUP BY repo
)
SELECT
    repo,
    coalesce(issues, 0),
    coalesce(comments, 0),
    newest_night,
    timezone('UTC', newest_update)  -- a TIMESTAMPTZ would need pytz on its way to Python
FROM per_repo
FULL JOIN commented USING (repo)
ORDER BY repo
"""

_REPOS_OF_NIGHT = "SELECT DISTINCT repo FROM issue_versions WHERE night = ? ORDER BY repo"
