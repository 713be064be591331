"""What a night brought of a repository, as the issue tables have it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Night:
    """Of one repository: `versions` and `comments` that the night added, and `issues` that there are in all."""

    versions: int
    comments: int
    issues: int


def night_of(connection: DuckDBPyConnection, repo: str, night: date) -> Night:
    """What the night added."""
    row = connection.execute(_NIGHT, {"repo": repo, "night": night}).fetchone()
    return Night(*row) if row else Night(0, 0, 0)


def newest_issues(connection: DuckDBPyConnection, repo: str, night: date, rows: int) -> pd.DataFrame:
    """The first issues that the night added: `record_id, state, title, labels, updated`."""
    return connection.execute(_ISSUES, {"repo": repo, "night": night, "rows": rows}).df()


def repos_in(connection: DuckDBPyConnection) -> list[str]:
    """All repositories that have issues, by name."""
    return [repo for (repo,) in connection.execute("SELECT DISTINCT repo FROM issue_versions ORDER BY repo").fetchall()]


def came_from_files(connection: DuckDBPyConnection, repo: str) -> bool:
    """Whether the repository has issues, and none of them from GitHub."""
    row = connection.execute(_FROM_FILES, [repo]).fetchone()
    return row is not None and bool(row[0])


_NIGHT = """
SELECT
    (SELECT count(*) FROM issue_versions WHERE repo = $repo AND night = $night),
    (SELECT count(*) FROM issue_comments WHERE repo = $repo AND night = $night),
    (SELECT count(*) FROM issues WHERE repo = $repo)
"""

_ISSUES = """
SELECT
    record_id,
    state,
    title,
    array_to_string(labels, ', ') AS labels,
    strftime(updated_at, '%Y-%m-%d %H:%M') AS updated
FROM issue_versions
WHERE repo = $repo AND night = $night
ORDER BY updated_at DESC, record_id
LIMIT $rows
"""

_FROM_FILES = "SELECT count(*) > 0 AND count(*) FILTER (source = 'github') = 0 FROM issue_versions WHERE repo = ?"
