from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from batch_pipeline.errors import GitHubError, InvalidSelection
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.repos import Repo, Repos
from batch_pipeline.settings import Settings
from batch_pipeline.sources.github import Progress, Pulled, pull_issues
from batch_pipeline.sources.github_limits import Clock, limit_wait
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline_tests.fake_github import FakeGitHub, FakeRepo, Fault, fake_github

NIGHT = date(2026, 11, 20)
NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC).timestamp()
NAME = "acme/orbit"


@dataclass
class World:
    """A GitHub, a warehouse, a ledger, and a clock that only moves when it is waited for."""

    github: FakeGitHub
    warehouse: Warehouse
    repos: Repos
    waits: list[float] = field(default_factory=list[float])
    now: float = NOW

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def pull(
        self,
        name: str = NAME,
        *,
        token: str | None = None,
        since: datetime | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Pulled:
        settings = Settings.model_validate({"GITHUB_API_URL": self.github.url, "GITHUB_TOKEN": token})
        return pull_issues(
            name,
            warehouse=self.warehouse,
            repos=self.repos,
            settings=settings,
            night=NIGHT,
            clock=Clock(lambda: self.now, self.sleep),
            since=since,
            progress=progress,
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()

    def cursor(self, name: str = NAME) -> Repo:
        repo = self.repos.get(name)
        assert repo is not None
        return repo


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with fake_github() as github:
        yield World(github, Warehouse(tmp_path / "warehouse.duckdb"), Repos(ledger))
    ledger.close()


@pytest.fixture
def orbit(world: World) -> FakeRepo:
    repo = world.github.repo(NAME, 4711)
    repo.issue(1, "2026-11-01T10:00:00Z", comments=1)
    repo.pull_request(2, "2026-11-02T10:00:00Z")
    repo.issue(3, "2026-11-03T10:00:00Z", state="closed", closed_at="2026-11-03T10:00:00Z")
    repo.comment(501, 1, "2026-11-01T11:00:00Z")
    repo.comment(502, 2, "2026-11-02T11:00:00Z", on="pull")
    return repo


def many(repo: FakeRepo, count: int) -> None:
    for number in range(10, 10 + count):
        repo.issue(number, f"2026-11-05T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z")


@pytest.mark.usefixtures("orbit")
def test_issues_and_comments_are_taken_and_pull_requests_are_not(world: World) -> None:
    pulled = world.pull()
    assert (pulled.issues.added, pulled.comments.added, pulled.pull_requests) == (2, 1, 1)
    assert world.rows(
        "SELECT record_id, state, author, labels, comment_count, source, night FROM issues ORDER BY 1"
    ) == [
        ("acme/orbit#1", "open", "ada", ["bug"], 1, "github", NIGHT),
        ("acme/orbit#3", "closed", "ada", ["bug"], 0, "github", NIGHT),
    ]
    assert world.rows("SELECT comment_id, record_id, author, reactions FROM issue_comments") == [
        ("501", "acme/orbit#1", "bob", 2)
    ]
    assert world.cursor().github_id == 4711
    assert world.cursor().issues_since == "2026-11-03T10:00:00Z"


@pytest.mark.usefixtures("orbit")
def test_the_first_pull_goes_back_thirty_days(world: World) -> None:
    world.pull()
    assert {one.query["since"] for one in world.github.seen if "since" in one.query} == {"2026-10-22T02:00:00Z"}
    assert world.github.seen[1].query["state"] == "all"


def test_a_second_pull_takes_what_changed_since_and_the_overlap_adds_nothing(world: World, orbit: FakeRepo) -> None:
    world.pull()
    orbit.issue(3, "2026-11-04T00:00:00Z", title="Issue 3, with a better title")
    orbit.issue(1, "2026-11-04T00:00:01Z", comments=7)
    pulled = world.pull()
    assert (pulled.issues.added, pulled.issues.unchanged) == (1, 1)
    assert world.rows("SELECT title FROM issues WHERE number = 3") == [("Issue 3, with a better title",)]
    assert world.github.seen[4].query["since"] == "2026-11-03T10:00:00Z"


@pytest.mark.usefixtures("orbit")
def test_what_did_not_change_is_a_304_which_costs_nothing(world: World) -> None:
    world.pull()
    world.pull()
    pulled = world.pull()
    assert [one.status for one in world.github.seen[-3:]] == [304, 304, 304]
    assert (pulled.issues.added, pulled.not_modified, pulled.requests) == (0, 2, 3)
    assert len(world.cursor().etags) == 3


def test_every_link_is_followed_as_it_was_given(world: World, orbit: FakeRepo) -> None:
    many(orbit, 250)
    told: list[Progress] = []
    assert world.pull(progress=told.append).issues.added == 252
    pages = [one.query.get("after") for one in world.github.seen if one.path == "/repos/acme/orbit/issues"]
    assert pages == [None, "x100", "x200"]
    assert [one.rows for one in told if one.stream == "issues"] == [100, 100, 53]


def test_a_pull_that_is_interrupted_goes_on_where_it_stopped(world: World, orbit: FakeRepo) -> None:
    many(orbit, 250)
    world.github.faults = [None, None, None, *[Fault(502)] * 4]
    with pytest.raises(GitHubError, match="answered 502 4 times when asked for the issues of acme/orbit"):
        world.pull()
    assert world.rows("SELECT count(*) FROM issues") == [(199,)]
    assert "502" in (world.cursor().error or "")
    since = world.cursor().issues_since
    world.github.seen.clear()
    assert world.pull().issues.added == 53
    assert world.github.seen[1].query["since"] == since
    assert world.cursor().error is None


def test_a_row_that_slips_to_a_page_already_read_is_found_by_a_second_look(world: World, orbit: FakeRepo) -> None:
    many(orbit, 150)

    def touch(requests: int) -> None:
        if requests == 2:
            orbit.issue(20, "2099-01-01T00:00:00Z")

    world.github.before_page = touch
    world.pull()
    assert world.rows("SELECT count(*) FROM issues") == [(152,)]


def used_up(reset: float) -> dict[str, str]:
    return {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{reset:.0f}"}


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (Fault(403, "API rate limit exceeded", used_up(NOW + 90)), [91.0]),
        (Fault(429, "API rate limit exceeded", used_up(NOW - 9)), [1.0]),
        (Fault(403, "You have exceeded a secondary rate limit", {"retry-after": "17"}), [17.0]),
        (Fault(403, "You have exceeded a secondary rate limit", used_up(NOW + 90)), [60.0]),
        (Fault(429, "Slow down"), [60.0]),
        (Fault(503), [1.0]),
    ],
)
@pytest.mark.usefixtures("orbit")
def test_a_limit_is_waited_for(world: World, fault: Fault, waits: list[float]) -> None:
    told: list[Progress] = []
    world.github.faults = [None, fault]
    assert world.pull(progress=told.append).issues.added == 2
    assert world.waits == waits
    assert [one.waiting for one in told if one.waiting] == waits


@pytest.mark.usefixtures("orbit")
def test_a_secondary_limit_that_lasts_is_waited_for_twice_as_long_each_time(world: World) -> None:
    world.github.faults = [Fault(403, "You have exceeded a secondary rate limit")] * 3
    world.pull()
    assert world.waits == [60.0, 120.0, 240.0]


@pytest.mark.usefixtures("orbit")
def test_a_limit_that_lasts_too_long_says_when_to_come_back(world: World) -> None:
    world.github.faults = [Fault(403, "API rate limit exceeded", used_up(NOW + 7 * 3600))]
    with pytest.raises(GitHubError, match=r"until 2026-11-21 09:00 UTC.*GITHUB_TOKEN"):
        world.pull()
    assert world.waits == []


def test_a_renamed_repository_is_followed_and_keeps_its_cursor(world: World, orbit: FakeRepo) -> None:
    world.pull()
    orbit.name, orbit.former_names = "acme/satellite", [NAME]
    orbit.issue(9, "2026-11-10T00:00:00Z")
    pulled = world.pull()
    assert (pulled.repo, pulled.renamed_from) == ("acme/satellite", NAME)
    assert world.cursor(NAME) == world.cursor("acme/satellite")
    assert world.cursor("acme/satellite").previous_names == (NAME,)
    assert world.rows("SELECT count(*) FROM issues WHERE record_id = 'acme/satellite#9'") == [(1,)]
    assert "/repositories/4711" in world.github.paths()
    assert len(world.repos.all()) == 1


@pytest.mark.usefixtures("orbit")
def test_github_writes_a_name_in_its_own_case(world: World) -> None:
    world.github.repos[0].former_names.append("Acme/Orbit")
    pulled = world.pull("Acme/Orbit")
    assert (pulled.repo, pulled.renamed_from) == (NAME, None)


@pytest.mark.parametrize(
    ("fault", "token", "sentence"),
    [
        (Fault(404, "Not Found"), None, r"No repository acme/orbit at .* it is private: set GITHUB_TOKEN"),
        (Fault(404, "Not Found"), "t0ken", r"the token in GITHUB_TOKEN may not read it"),
        (Fault(401, "Bad credentials"), "t0ken", r"does not accept the token in GITHUB_TOKEN \(401: Bad credentials\)"),
        (Fault(403, "Resource protected by SAML"), "t0ken", r"refused repository acme/orbit \(403: Resource protected"),
        (Fault(410, "Gone"), None, r"\(410: Gone\): issues may be switched off"),
        (Fault(200, body="<html>welcome</html>"), None, r"something other than JSON: is GITHUB_API_URL right\?"),
        (Fault(200, body="{}"), None, r"names no repository"),
        (Fault(422, body="what"), None, r"\(422: what\)"),
    ],
)
@pytest.mark.usefixtures("orbit")
def test_a_refusal_is_one_clear_sentence(world: World, fault: Fault, token: str | None, sentence: str) -> None:
    world.github.faults = [fault]
    with pytest.raises(GitHubError, match=sentence) as caught:
        world.pull(token=token)
    assert "t0ken" not in str(caught.value)
    assert world.repos.all() == []


@pytest.mark.usefixtures("orbit")
def test_a_page_that_is_no_list_is_refused(world: World) -> None:
    world.github.faults = [None, Fault(200, body='{"message": "hello"}')]
    with pytest.raises(GitHubError, match="something other than a list"):
        world.pull()


@pytest.mark.usefixtures("orbit")
def test_the_token_is_sent_where_it_belongs_and_nowhere_else(world: World, orbit: FakeRepo) -> None:
    many(orbit, 120)
    world.github.token = "t0ken"
    world.github.page_url = "http://elsewhere.invalid"
    with pytest.raises(GitHubError, match=r"another server \(elsewhere.invalid\)"):
        world.pull(token="t0ken")
    assert {one.headers.get("authorization") for one in world.github.seen} == {"token t0ken"}


def test_nobody_there_is_said_after_a_few_tries(world: World) -> None:
    world.github.url = "http://127.0.0.1:9"
    with pytest.raises(GitHubError, match="did not answer 4 times"):
        world.pull()
    assert world.waits == [1.0, 2.0, 4.0]


@pytest.mark.usefixtures("orbit")
@pytest.mark.parametrize("since", ["2026-11-03T00:00:00Z", "2026-11-03T01:00:00+01:00"])
def test_since_begins_there_and_leaves_no_gap_behind(world: World, orbit: FakeRepo, since: str) -> None:
    assert world.pull(since=datetime.fromisoformat(since)).issues.added == 1
    assert world.github.seen[1].query["since"] == "2026-11-03T00:00:00Z"
    orbit.issue(4, "2026-11-04T00:00:00Z")
    orbit.issue(5, "2026-11-05T00:00:00Z")
    assert world.pull(since=datetime(2026, 11, 5, tzinfo=UTC)).issues.added == 1
    assert world.cursor().issues_since == "2026-11-03T10:00:00Z"
    assert world.pull().issues.added == 1


def test_a_repository_without_issues_gets_a_cursor_all_the_same(world: World) -> None:
    world.github.repo("acme/empty", 8)
    assert world.pull("acme/empty").issues.added == 0
    assert world.cursor("acme/empty").issues_since == "2026-10-22T02:00:00Z"


@pytest.mark.parametrize("name", ["orbit", "acme/orbit/x", "acme/or|bit", "acme/or...bit", "-a/b", ""])
def test_a_name_that_is_none_is_refused_before_anything_is_asked(world: World, name: str) -> None:
    with pytest.raises(InvalidSelection, match="OWNER/NAME"):
        world.pull(name)
    assert world.github.seen == []


def test_a_comment_that_is_edited_gets_a_second_version(world: World, orbit: FakeRepo) -> None:
    world.pull()
    orbit.comment(501, 1, "2026-11-06T00:00:00Z", body="Solved in 2.1")
    assert world.pull().comments.added == 1
    assert world.rows("SELECT body FROM issue_comments ORDER BY updated_at") == [("Me too",), ("Solved in 2.1",)]


@pytest.mark.parametrize(
    ("status", "headers", "tries", "wait"),
    [
        (403, {}, 0, None),
        (404, {"retry-after": "3"}, 0, None),
        (429, {}, 3, 480.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "130"}, 0, 31.0),
    ],
)
def test_how_long_to_wait_is_read_from_the_answer(
    status: int, headers: dict[str, str], tries: int, wait: float | None
) -> None:
    assert limit_wait(status, headers, "no", tries, now=100.0) == wait


def test_a_refusal_that_repeats_the_token_is_told_without_it(world: World) -> None:
    """A gateway quoted what it was sent, and the token stood in the error."""
    world.github.faults = [Fault(401, "Bad credentials: ghp_of_mine")]
    with pytest.raises(GitHubError, match=r"Bad credentials: \(the token\)"):
        world.pull(token="ghp_of_mine")
