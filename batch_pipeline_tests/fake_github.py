"""A small GitHub over HTTP: issues and comments as its REST API gives them, and its ways to refuse.

It knows what docs/wire-facts.md, section 5, has of it: `since` is inclusive, `Link` carries a cursor and `page` is
refused, a 304 for a known ETag, a redirect for a repository that was renamed, and faults that a test orders.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

Json = dict[str, Any]


@dataclass
class Fault:
    """An answer that comes in place of the right one."""

    status: int
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: str | None = None


@dataclass
class FakeRepo:
    """A repository: its number stays when its name changes."""

    name: str
    number: int
    issues: list[Json] = field(default_factory=list[Json])
    comments: list[Json] = field(default_factory=list[Json])
    former_names: list[str] = field(default_factory=list[str])

    def issue(self, number: int, updated_at: str, **members: object) -> Json:
        """Adds an issue, or puts it in the place of the one with that number."""
        address = f"https://github.com/{self.name}/issues/{number}"
        issue: Json = {
            "id": 900_000 + number,
            "number": number,
            "title": f"Issue {number}",
            "body": f"What happened in {number}",
            "state": "open",
            "html_url": address,
            "user": {"login": "ada", "id": 1},
            "labels": [{"name": "bug", "color": "d73a4a"}],
            "comments": 0,
            "reactions": {"total_count": 0},
            "created_at": updated_at,
            "updated_at": updated_at,
            "closed_at": None,
        } | members
        self.issues = [one for one in self.issues if one["number"] != number] + [issue]
        return issue

    def pull_request(self, number: int, updated_at: str) -> Json:
        """Adds a pull request, which GitHub gives among the issues."""
        address = f"https://github.com/{self.name}/pull/{number}"
        return self.issue(number, updated_at, html_url=address, pull_request={"url": address})

    def comment(self, number: int, issue: int, updated_at: str, *, on: str = "issues", body: str = "Me too") -> Json:
        """Adds a comment; `on` is `issues` or `pull`."""
        comment: Json = {
            "id": number,
            "body": body,
            "issue_url": f"https://api.github.com/repos/{self.name}/issues/{issue}",
            "html_url": f"https://github.com/{self.name}/{on}/{issue}#issuecomment-{number}",
            "user": {"login": "bob"},
            "reactions": {"total_count": 2},
            "created_at": updated_at,
            "updated_at": updated_at,
        }
        self.comments = [one for one in self.comments if one["id"] != number] + [comment]
        return comment


@dataclass(frozen=True)
class Seen:
    """A request as it came, and what it was answered with."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    status: int


class FakeGitHub:
    """What the server knows, what it was told to do wrong, and what it was asked."""

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.repos: list[FakeRepo] = []
        self.token: str | None = None
        self.faults: list[Fault | None] = []
        """Taken one a request; None lets a request through."""
        self.seen: list[Seen] = []
        self.before_page: Callable[[int], None] = lambda _: None
        """Called with the count of requests before each answer: the world changes while it is read."""
        self.page_url: str | None = None
        """Where `Link` points, if not here."""

    def repo(self, name: str, number: int = 1) -> FakeRepo:
        """Adds a repository."""
        repo = FakeRepo(name, number)
        self.repos.append(repo)
        return repo

    def paths(self) -> list[str]:
        """The paths that were asked for, in turn."""
        return [one.path for one in self.seen]

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        """Status, headers and body of the answer."""
        self.before_page(len(self.seen))
        fault = self.faults.pop(0) if self.faults else None
        status, more, body = _refusal(fault) if fault else self._answer(path, query, headers)
        self.seen.append(Seen(path, query, headers, status))
        return status, more, body

    def _answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        if self.token and headers.get("authorization") != f"token {self.token}":
            return _refusal(Fault(401, "Bad credentials"))
        repo, rest, moved = self._find(path)
        if repo is None:
            return _refusal(Fault(404, "Not Found"))
        if moved:
            location = f"{self.url}/repositories/{repo.number}{rest}" + (f"?{urlencode(query)}" if query else "")
            return 301, {"location": location}, json.dumps({"message": "Moved Permanently", "url": location})
        if "page" in query:
            return _refusal(Fault(422, "Pagination with the page parameter is not supported for large datasets"))
        if rest == "":
            return _with_etag(json.dumps({"id": repo.number, "full_name": repo.name}), {}, headers)
        rows = repo.issues if rest == "/issues" else repo.comments
        return self._page(path, rows, query, headers)

    def _find(self, path: str) -> tuple[FakeRepo | None, str, bool]:
        for repo in self.repos:
            for name in [f"/repos/{repo.name}", f"/repositories/{repo.number}"]:
                if path == name or path.startswith(f"{name}/"):
                    return repo, path.removeprefix(name), False
            for name in repo.former_names:
                if path == f"/repos/{name}" or path.startswith(f"/repos/{name}/"):
                    return repo, path.removeprefix(f"/repos/{name}"), True
        return None, "", False

    def _page(
        self, path: str, rows: list[Json], query: dict[str, str], headers: dict[str, str]
    ) -> tuple[int, dict[str, str], str]:
        state = query.get("state", "open")
        found = [row for row in rows if row["updated_at"] >= query.get("since", "")]
        found = [row for row in found if state == "all" or "state" not in row or row["state"] == state]
        found.sort(key=lambda row: row["updated_at"])
        begin, size = int(query.get("after", "x0")[1:]), int(query.get("per_page", "30"))
        page = found[begin : begin + size]
        more: dict[str, str] = {}
        if begin + size < len(found):
            following = urlencode(query | {"after": f"x{begin + size}"})
            more["link"] = f'<{self.page_url or self.url}{path}?{following}>; rel="next", <{self.url}>; rel="first"'
        return _with_etag(json.dumps(page), more, headers)


def _refusal(fault: Fault) -> tuple[int, dict[str, str], str]:
    return fault.status, fault.headers, fault.body if fault.body is not None else json.dumps({"message": fault.message})


def _with_etag(body: str, more: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
    etag = f'W/"{hashlib.sha256(body.encode()).hexdigest()}"'
    if headers.get("if-none-match") == etag:
        return 304, {"etag": etag}, ""
    return 200, more | {"etag": etag}, body


@contextmanager
def fake_github() -> Generator[FakeGitHub]:
    """A GitHub on loopback, for the length of the block."""
    github = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: two would wait for each other

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            status, more, body = github.answer(parts.path, query, headers)
            raw = body.encode()
            self.send_response(status)
            for key, value in more.items():
                self.send_header(key, value)
            if "content-type" not in more:
                self.send_header("content-type", "application/json; charset=utf-8")
            if status != 304:
                self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    github.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
