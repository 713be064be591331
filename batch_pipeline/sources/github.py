"""Issues and comments from GitHub: what changed since the last pull.

Each page is written as it comes and the cursor follows, so a pull that is interrupted goes on where it stopped. The
cursor is the `updated_at` of the last row; `since` includes it, and rows that are known add nothing.
https://docs.github.com/en/rest/issues/issues#list-repository-issues
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlencode

from batch_pipeline.errors import GitHubError
from batch_pipeline.ledger.repos import Repo, Repos
from batch_pipeline.settings import Settings
from batch_pipeline.sources.github_client import GitHubClient, Reply
from batch_pipeline.sources.github_limits import LONGEST_WAIT, Clock
from batch_pipeline.sources.repo_name import check_repo_name
from batch_pipeline.sources.shape import (
    pull_request_count,
    reading_room,
    shape_issues,
    shaped_comments,
    shaped_issues,
)
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.issues import Added, add_comments, add_issues

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIRST_PULL = timedelta(days=30)
"""How far back the first pull of a repository goes."""
PAGE_ROWS = 100
"""Rows of one page: GitHub's maximum."""

Stream = Literal["issues", "comments"]
_PATHS: dict[Stream, str] = {"issues": "repos/{}/issues", "comments": "repos/{}/issues/comments"}


@dataclass(frozen=True)
class Progress:
    """How far a pull is. `until` is the newest change read so far, `waiting` the seconds of a wait that begins now."""

    repo: str
    stream: Stream
    rows: int = 0
    until: str | None = None
    waiting: float | None = None


@dataclass(frozen=True)
class Pulled:
    """What came of a pull. `repo` is its name today, `renamed_from` the one that was asked for, if another.

    `requests` counts those that were sent, `not_modified` the streams that GitHub answered with a 304.
    """

    repo: str
    issues: Added = field(default_factory=Added)
    comments: Added = field(default_factory=Added)
    pull_requests: int = 0
    requests: int = 0
    not_modified: int = 0
    renamed_from: str | None = None


def pull_issues(
    repo: str,
    *,
    warehouse: Warehouse,
    repos: Repos,
    settings: Settings,
    night: date,
    since: datetime | None = None,
    clock: Clock | None = None,
    longest_wait: float = LONGEST_WAIT,
    progress: Callable[[Progress], None] | None = None,
) -> Pulled:
    """Reads what changed in `repo` since its last pull, and adds it to the warehouse.

    Args:
        repo: `owner/name`, of today or of before a renaming.
        warehouse: Where rows go.
        repos: Where the cursors are kept.
        settings: Base URL and token.
        night: The partition that the rows are collected for.
        since: Where to begin, in place of the cursor; 30 days back where there is neither.
        clock: The time, and how to wait.
        longest_wait: Seconds that one request may wait for GitHub's limits.
        progress: Told of each page and each wait.

    Raises:
        InvalidSelection: `repo` is not `owner/name`.
        GitHubError: A refusal, no answer, or a limit that lasts for too long; also noted in `Repo.error`.
    """
    asked, clock = check_repo_name(repo), clock or Clock()
    pull = _Pull(asked, warehouse=warehouse, repos=repos, night=night, since=since, clock=clock, progress=progress)
    with GitHubClient(settings, clock, longest_wait, pull.tell_wait) as client:
        try:
            return pull.run(client)
        except GitHubError as error:
            pull.note(str(error))
            raise


class _Pull:
    """One pull: the repository as the ledger knows it, kept up to date page by page."""

    def __init__(
        self,
        asked: str,
        *,
        warehouse: Warehouse,
        repos: Repos,
        night: date,
        since: datetime | None,
        clock: Clock,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._asked = asked
        self._warehouse = warehouse
        self._repos = repos
        self._night = night
        self._since = _stamp(since) if since else None
        self._clock = clock
        self._progress = progress
        self._known = repos.get(asked)
        self._repo = self._known or Repo(asked, added_at=clock.now())
        self._stream: Stream = "issues"
        self._pulled = Pulled(asked)

    def run(self, client: GitHubClient) -> Pulled:
        """Both streams, one after the other."""
        self._identify(client)
        self._read("issues", client)
        self._read("comments", client)
        self._save(error=None)
        renamed = self._asked if self._asked.lower() != self._repo.name.lower() else None
        return replace(self._pulled, repo=self._repo.name, requests=client.requests, renamed_from=renamed)

    def note(self, error: str) -> None:
        """Keeps what went wrong beside the repository; one that was never read is not taken up."""
        if self._known or self._repo.github_id:
            self._save(error=error)

    def tell_wait(self, seconds: float) -> None:
        """Passes a wait on to whoever watches."""
        if self._progress:
            self._progress(Progress(self._repo.name, self._stream, waiting=seconds))

    def _identify(self, client: GitHubClient) -> None:
        """Who this is today: GitHub answers a former name with a redirect, and the number stays."""
        path = f"repos/{self._repo.name}"
        reply = client.get(path, etag=self._repo.etags.get(path), about=f"repository {self._repo.name}")
        if reply.status == 200:
            name, number = _identity(reply)
            self._repo = _renamed(self._whose(name, number), self._asked, name, number)
            self._keep_etag(f"repos/{self._repo.name}", f"repos/{self._repo.name}", reply.etag)
        self._save()

    def _whose(self, name: str, number: int) -> Repo:
        """The ledger's row for that number; a name may have passed to another repository."""
        known = self._known or self._repos.get(name)
        if known and known.github_id in (None, number):
            return known
        return Repo(name, added_at=self._clock.now())

    def _read(self, stream: Stream, client: GitHubClient) -> None:
        """All pages from the cursor on, once more if rows may have slipped from one page to the one before it."""
        self._stream = stream
        cursor = self._cursor(stream)
        start = self._since or cursor or _stamp(datetime.fromtimestamp(self._clock.now(), UTC) - FIRST_PULL)
        if not self._read_pages(stream, start, client):
            self._read_pages(stream, start, client)
        if self._cursor(stream) is None:
            self._save_cursor(stream, start)

    def _read_pages(self, stream: Stream, start: str, client: GitHubClient) -> bool:
        """False if something changed while the pages were read: it moved to the end, and all after it moved up."""
        path = _PATHS[stream].format(self._repo.name)
        params = {"sort": "updated", "direction": "asc", "per_page": PAGE_ROWS, "since": start}
        params |= {"state": "all"} if stream == "issues" else {}
        key = f"{path}?{urlencode(params)}"
        about = f"the {stream} of {self._repo.name}"
        reply = first = client.get(path, params, self._repo.etags.get(key), about=about)
        if reply.status == 304:
            self._pulled = replace(self._pulled, not_modified=self._pulled.not_modified + 1)
            return True
        # a 304 for the first of many pages would say nothing of the others
        self._keep_etag(path, key, None if reply.next else reply.etag)
        newest = self._take(stream, reply, start)
        while reply.next:
            reply = client.get(reply.next, about=about)
            newest = self._take(stream, reply, start)
        return first is reply or newest is None or newest < _stamp(datetime.fromtimestamp(first.date, UTC))

    def _take(self, stream: Stream, page: Reply, start: str) -> str | None:
        """Writes a page, then moves the cursor; gives the page's newest change."""
        with reading_room() as room:
            rows, newest = _fill(room, page.text)
            added = self._add(stream, room)
        if newest:
            self._move_cursor(stream, newest, start)
        if stream == "issues":
            self._pulled = replace(self._pulled, issues=self._pulled.issues + added)
        else:
            self._pulled = replace(self._pulled, comments=self._pulled.comments + added)
        if self._progress:
            self._progress(Progress(self._repo.name, stream, rows, newest))
        return newest

    def _add(self, stream: Stream, room: DuckDBPyConnection) -> Added:
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        if stream == "comments":
            with self._warehouse.write() as connection:
                return add_comments(connection, shaped_comments(room, self._repo.name), self._night, now)
        shape_issues(room, self._repo.name)
        self._pulled = replace(self._pulled, pull_requests=self._pulled.pull_requests + pull_request_count(room))
        with self._warehouse.write() as connection:
            return add_issues(connection, shaped_issues(room), self._night, now)

    def _cursor(self, stream: Stream) -> str | None:
        return self._repo.issues_since if stream == "issues" else self._repo.comments_since

    def _move_cursor(self, stream: Stream, newest: str, start: str) -> None:
        """Forward only, and not over a gap that a later `since` leaves."""
        cursor = self._cursor(stream)
        if cursor is None or start <= cursor < newest:
            self._save_cursor(stream, newest)

    def _save_cursor(self, stream: Stream, since: str) -> None:
        if stream == "issues":
            self._repo = replace(self._repo, issues_since=since)
        else:
            self._repo = replace(self._repo, comments_since=since)
        self._save()

    def _keep_etag(self, path: str, key: str, etag: str | None) -> None:
        """The newest of each path is kept: another `since` is another address."""
        kept = {url: tag for url, tag in self._repo.etags.items() if url.split("?")[0] != path}
        self._repo = replace(self._repo, etags=kept | ({key: etag} if etag else {}))

    def _save(self, error: str | None = None) -> None:
        self._repo = replace(self._repo, error=error)
        self._repos.save(self._repo)


def _renamed(repo: Repo, asked: str, name: str, number: int) -> Repo:
    """`repo` under its name of today; those that it had are kept."""
    former = dict.fromkeys([*repo.previous_names, repo.name, asked])
    others = tuple(one for one in former if one.lower() != name.lower())
    return replace(repo, name=name, github_id=number, source="github", previous_names=others)


def _identity(reply: Reply) -> tuple[str, int]:
    body = cast("dict[str, object]", json.loads(reply.text))
    name, number = body.get("full_name"), body.get("id")
    if not isinstance(name, str) or not isinstance(number, int):
        raise GitHubError("GitHub's answer names no repository: is GITHUB_API_URL right?")
    return check_repo_name(name), number


def _fill(room: DuckDBPyConnection, page: str) -> tuple[int, str | None]:
    """A page's rows into `items`; how many there are, and the newest change among them."""
    is_list = room.execute(_IS_LIST, {"page": page}).fetchone()
    if is_list != (True,):
        raise GitHubError("GitHub answered with something other than a list: is GITHUB_API_URL right?")
    room.execute(_PAGE_TO_ITEMS, [page])
    rows, newest = room.execute("SELECT count(*), max(item ->> '$.updated_at') FROM items").fetchone() or (0, None)
    return rows, newest


def _stamp(when: datetime) -> str:
    """As GitHub writes it, in UTC; a time without a zone is taken for UTC."""
    return f"{when if when.tzinfo is None else when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


_IS_LIST = "SELECT CASE WHEN json_valid($page) THEN json_type($page) = 'ARRAY' ELSE false END"

_PAGE_TO_ITEMS = """
INSERT INTO items
WITH page AS (
    SELECT elements(?::JSON) AS rows
)
SELECT 'github', generate_subscripts(rows, 1), NULL, NULL, unnest(rows)
FROM page
"""
