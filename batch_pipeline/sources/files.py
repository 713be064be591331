"""Issues from files: GitHub-shaped JSON, JSON lines, CSV and Parquet, by glob."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.ledger.repos import Repo, Repos
from batch_pipeline.sources.readers import KNOWN_ENDINGS, read_files
from batch_pipeline.sources.repo_name import check_repo_name
from batch_pipeline.sources.shape import (
    Problem,
    pull_request_count,
    reading_room,
    repo_counts,
    shape_issues,
    shape_problems,
    shaped_issues,
    shaped_record_ids,
)
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.issues import Added, add_issues

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Loaded:
    """What came of a load: every row of every file is in exactly one of the counts, or among the problems.

    `repos` has the issues per repository that were read, new or known, and `record_ids` names them; `files` counts the
    files that were opened.
    """

    added: int = 0
    unchanged: int = 0
    pull_requests: int = 0
    files: int = 0
    repos: dict[str, int] = field(default_factory=dict[str, int])
    record_ids: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def load_issues(
    warehouse: Warehouse,
    patterns: Sequence[str],
    night: date,
    *,
    repo: str | None = None,
    collected_at: datetime | None = None,
) -> Loaded:
    """Adds the issues of files to the warehouse; what is there already adds nothing.

    Args:
        warehouse: Where they go.
        patterns: Files, globs (`**` goes through folders), or folders, which stand for all readable files below.
        night: The partition that they are loaded into.
        repo: `owner/name` for rows that carry none.
        collected_at: When; now by default.

    Raises:
        InvalidSelection: A pattern matches no file, or `repo` is no repository's name. Nothing was loaded.
    """
    default_repo = check_repo_name(repo) if repo else None
    paths = matching_files(patterns)
    with reading_room() as room:
        unread = read_files(room, paths)
        shape_issues(room, default_repo)
        added = _hand_over(room, warehouse, night, collected_at or datetime.now(UTC))
        return Loaded(
            added=added.added,
            unchanged=added.unchanged,
            pull_requests=pull_request_count(room),
            files=len(paths),
            repos=repo_counts(room),
            record_ids=shaped_record_ids(room),
            problems=tuple(sorted([*unread, *shape_problems(room)], key=lambda problem: problem.file)),
        )


def note_repos(repos: Repos, names: Iterable[str]) -> None:
    """Makes repositories known whose issues came from files; those that are known stay as they are."""
    for name in names:
        if repos.get(name) is None:
            repos.save(Repo(name, source="files", added_at=time.time()))


def _hand_over(room: DuckDBPyConnection, warehouse: Warehouse, night: date, collected_at: datetime) -> Added:
    """The lock is held for the writing only, not for the reading."""
    with warehouse.write() as connection:
        return add_issues(connection, shaped_issues(room), night, collected_at)


def matching_files(patterns: Sequence[str]) -> list[str]:
    """The files of names, globs and folders, each once, by name.

    Raises:
        InvalidSelection: One of them matches no file.
    """
    return sorted({path for pattern in patterns for path in _files_of(pattern)})


def _files_of(pattern: str) -> list[str]:
    place = Path(pattern).expanduser()
    found = [str(path) for path in _paths_of(place) if path.is_file()]
    if not found:
        raise InvalidSelection(f"No file matches `{pattern}`; nothing was loaded.")
    return found


def _paths_of(place: Path) -> Iterable[Path]:
    if place.is_dir():
        return (path for path in place.rglob("*") if path.suffix.lower().lstrip(".") in KNOWN_ENDINGS)
    if place.exists():  # a name may have brackets of its own
        return [place]
    return map(Path, glob(str(place), recursive=True))  # noqa: PTH207  # `Path.glob` takes no absolute pattern
