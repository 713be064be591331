"""Repositories that issues come from, and how far each was read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from sqlalchemy import RowMapping, delete, insert, select

from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.rows import row_of
from batch_pipeline.ledger.tables import repos


@dataclass(frozen=True)
class Repo:
    """A repository and the cursor of its pulls; `name` is `owner/name`, `etags` by URL."""

    name: str
    github_id: int | None = None
    source: Literal["github", "files"] = "github"
    issues_since: str | None = None
    comments_since: str | None = None
    etags: dict[str, str] = field(default_factory=dict[str, str])
    previous_names: tuple[str, ...] = ()
    added_at: float = 0.0
    error: str | None = None


class Repos:
    """What the ledger knows of repositories."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(self, name: str) -> Repo | None:
        """The repository of that name, else one that had it before it was renamed."""
        known = self.all()
        renamed = (repo for repo in known if name in repo.previous_names)
        return next((repo for repo in known if name == repo.name), None) or next(renamed, None)

    def all(self) -> list[Repo]:
        """All repositories, in the order in which they were added."""
        with self._ledger.read() as db:
            rows = db.execute(select(repos).order_by(repos.c.added_at, repos.c.name)).mappings().all()
        return [_repo(row) for row in rows]

    def save(self, repo: Repo) -> None:
        """Writes `repo`, in place of the row of its name, and of its own under earlier names.

        A name that it gave up may be another repository's by now; that one has another id, and stays.
        """
        same = repos.c.github_id.is_(None) | (repos.c.github_id == repo.github_id)
        earlier = repos.c.name.in_(repo.previous_names) & same
        with self._ledger.begin() as db:
            db.execute(delete(repos).where((repos.c.name == repo.name) | earlier))
            db.execute(insert(repos).values(asdict(repo) | {"previous_names": list(repo.previous_names)}))


def _repo(row: RowMapping) -> Repo:
    repo = row_of(Repo, row)
    return replace(repo, previous_names=tuple(repo.previous_names))
