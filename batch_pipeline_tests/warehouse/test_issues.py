from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import cast

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.issues import (
    Added,
    ArrowStream,
    RepoCount,
    add_comments,
    add_issues,
    issue_counts,
    repos_with_issues,
)

NIGHT = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def on(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC)


def issue(number: int, updated: datetime | None, **members: object) -> dict[str, object]:
    return {
        "record_id": f"acme/orbit#{number}",
        "repo": "acme/orbit",
        "number": number,
        "state": "open",
        "title": f"Issue {number}",
        "body": None,
        "labels": ["bug", "cli"],
        "author": "ada",
        "comment_count": 0,
        "reactions": 0,
        "url": None,
        "created_at": None,
        "updated_at": updated,
        "closed_at": None,
        "extra": None,
        "source": "github",
    } | members


_INSTANT = pa.timestamp("us", tz="UTC")
_SCHEMA: dict[str, pa.DataType] = {
    "labels": pa.list_(pa.string()),
    "number": pa.int64(),
    "comment_count": pa.int64(),
    "reactions": pa.int64(),
    "created_at": _INSTANT,
    "updated_at": _INSTANT,
    "closed_at": _INSTANT,
}


def arrow(rows: Sequence[dict[str, object]]) -> ArrowStream:
    schema = pa.schema([(name, _SCHEMA.get(name, pa.string())) for name in rows[0]])
    return cast("ArrowStream", pa.Table.from_pylist(list(rows), schema))


def add(warehouse: Warehouse, *rows: dict[str, object], collected_at: datetime = NOON, night: date = NIGHT) -> Added:
    with warehouse.write() as connection:
        return add_issues(connection, arrow(rows), night, collected_at)


def titles(warehouse: Warehouse, table: str = "issues") -> list[str]:
    with warehouse.read() as connection:
        return [title for (title,) in connection.table(table).order("title").select("title").fetchall()]


def test_the_same_issue_again_adds_nothing(warehouse: Warehouse) -> None:
    assert add(warehouse, issue(1, on(1)), issue(2, on(2))) == Added(2, 0)
    assert add(warehouse, issue(1, on(1)), issue(2, on(2))) == Added(0, 2)


@pytest.mark.parametrize("change", [{"title": "B"}, {"body": "B"}, {"state": "closed"}, {"labels": ["bug"]}])
def test_what_a_person_calls_the_content_makes_a_version(warehouse: Warehouse, change: dict[str, object]) -> None:
    add(warehouse, issue(1, on(1)))
    assert add(warehouse, issue(1, on(2), **change)) == Added(1, 0)


@pytest.mark.parametrize("change", [{"comment_count": 9}, {"reactions": 3}, {"labels": ["cli", "bug"]}, {"body": ""}])
def test_what_only_counts_or_is_put_otherwise_makes_none(warehouse: Warehouse, change: dict[str, object]) -> None:
    add(warehouse, issue(1, on(1)))
    assert add(warehouse, issue(1, on(2), **change)) == Added(0, 1)


def test_an_older_version_is_kept_as_such_and_once(warehouse: Warehouse) -> None:
    add(warehouse, issue(1, on(5), title="new"))
    assert add(warehouse, issue(1, on(1), title="old")) == Added(1, 0)
    assert add(warehouse, issue(1, on(1), title="old")) == Added(0, 1)
    assert (titles(warehouse), titles(warehouse, "issue_versions")) == (["new"], ["new", "old"])


def test_a_change_that_is_taken_back_is_a_third_version(warehouse: Warehouse) -> None:
    for day, title in [(1, "a"), (2, "b"), (3, "a")]:
        assert add(warehouse, issue(1, on(day), title=title)) == Added(1, 0)
    assert titles(warehouse) == ["a"]


def test_rows_without_a_date_follow_each_other_as_they_are_loaded(warehouse: Warehouse) -> None:
    for hour, title in enumerate(["a", "b", "a"]):
        add(warehouse, issue(1, None, title=title), collected_at=NOON + timedelta(hours=hour))
    assert (titles(warehouse), titles(warehouse, "issue_versions")) == (["a"], ["a", "a", "b"])


def test_of_one_load_the_last_word_of_an_instant_counts(warehouse: Warehouse) -> None:
    rows = issue(1, None, title="first"), issue(1, None, title="last")
    assert add(warehouse, *rows) == Added(1, 1)
    assert add(warehouse, *rows) == Added(0, 2)
    assert titles(warehouse, "issue_versions") == ["last"]


versions = st.lists(
    st.tuples(st.integers(1, 2), st.none() | st.integers(1, 4), st.sampled_from("abc")), min_size=1, max_size=8
)


@given(first=versions, second=versions)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_load_repeated_at_once_never_adds(
    warehouse: Warehouse, first: list[tuple[int, int | None, str]], second: list[tuple[int, int | None, str]]
) -> None:
    def rows(load: list[tuple[int, int | None, str]]) -> list[dict[str, object]]:
        return [issue(number, on(day) if day else None, title=title) for number, day, title in load]

    added = Added()
    with warehouse.write() as connection:
        connection.execute("DELETE FROM issue_versions")
        for minute, load in enumerate([first, second, second]):
            added = add_issues(connection, arrow(rows(load)), NIGHT, NOON + timedelta(minutes=minute))
            assert added.added + added.unchanged == len(load)
        assert added.added == 0


def test_org_and_name_and_night_are_filled_in(warehouse: Warehouse) -> None:
    add(warehouse, issue(1, on(1), extra='{"milestone": "2.0"}'))
    with warehouse.read() as connection:
        row = connection.execute(
            "SELECT org, name, night, timezone('UTC', collected_at), extra ->> '$.milestone', labels FROM issues"
        ).fetchone()
    assert row == ("acme", "orbit", NIGHT, NOON.replace(tzinfo=None), "2.0", ["bug", "cli"])


def comment(number: int, body: str, updated: datetime) -> dict[str, object]:
    return {
        "comment_id": str(number),
        "record_id": "acme/orbit#1",
        "repo": "acme/orbit",
        "author": "bob",
        "body": body,
        "reactions": 0,
        "url": None,
        "created_at": updated,
        "updated_at": updated,
        "source": "github",
    }


def test_comments_are_versioned_by_their_body(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        rows = [comment(1, "a", on(1)), comment(2, "a", on(1))]
        assert add_comments(connection, arrow(rows), NIGHT, NOON) == Added(2, 0)
        rows = [comment(1, "b", on(2)), comment(2, "a", on(3))]
        assert add_comments(connection, arrow(rows), NIGHT, NOON) == Added(1, 1)


def test_what_there_is_is_counted_by_repository(warehouse: Warehouse) -> None:
    add(warehouse, issue(1, on(1)), issue(2, on(3)), issue(3, None, repo="lumen-labs/prism", record_id="l/p#3"))
    add(warehouse, issue(1, on(2), title="again"), night=date(2026, 11, 21))
    with warehouse.write() as connection:
        add_comments(connection, arrow([comment(1, "a", on(1)), comment(1, "b", on(2))]), NIGHT, NOON)
    with warehouse.read() as connection:
        assert issue_counts(connection) == [
            RepoCount("acme/orbit", 2, 1, date(2026, 11, 21), on(3)),
            RepoCount("lumen-labs/prism", 1, 0, NIGHT, None),
        ]
        assert repos_with_issues(connection, NIGHT) == ["acme/orbit", "lumen-labs/prism"]
        assert repos_with_issues(connection, date(2026, 11, 21)) == ["acme/orbit"]
        assert repos_with_issues(connection, date(2020, 1, 1)) == []
