"""What `submit` selects: a query, filters around it, orders, variants."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command


@pytest.fixture
def loaded(command: Command, issue_files: Path) -> Command:
    command("issues", "load", issue_files)
    return command


def test_a_query_is_combined_with_every_other_way_to_select(loaded: Command, issue_files: Path) -> None:
    sql = "SELECT record_id, repo, state, title, body, created_at FROM issues"
    narrowed = {
        (): 3,
        ("--state", "open"): 2,
        ("--repo", "acme/orbit", "--limit", "1"): 1,
        ("--ids", "acme/orbit#1,acme/orbit#3", "--state", "closed"): 1,
        ("--files", issue_files / "2.json"): 1,
        ("--missing-analysis", "--order", "age,label:bug"): None,
    }
    for further, records in narrowed.items():
        ran = loaded("submit", "issue-kind", "--sql", sql, *further, "--dry-run", "--json")
        if records is None:
            assert "have no column `labels`, only record_id, repo" in ran.sentence
        else:
            assert ran.json["records"] == records, further
    job = loaded("submit", "issue-kind", "--sql", sql, "--limit", "1", "--json").json
    loaded("collect", job["job_id"], "--wait", "--poll-seconds", "0.1", "--json")
    assert loaded("submit", "issue-kind", "--sql", sql, "--json").json["records"] == 2
    assert loaded("details", job["job_id"], "--json").json["selection"]["sql"] == sql
    kept = loaded(
        "query", f"SELECT selection->>'sql' AS sql FROM batch_jobs WHERE job_id = '{job['job_id']}'", "--json"
    )
    assert kept.json == [{"sql": sql}]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT title, body FROM issues", "`record_id`"),
        ("SELECT record_id, title FROM issues", "no column `body`, which task `issue_kind` needs"),
        ("SELECT record_id, titel AS title, body FROM issues", 'Candidate bindings: "title"'),
        ("FROM isues", "issues, python_items, request_records"),
        ("COPY issues TO '/tmp/never.csv'", "a COPY"),
        ("FROM read_csv('/etc/passwd')", "`read_csv`"),
        ("SELECT getenv('HOME') AS record_id, title, body FROM issues", "`getenv`"),
        ("ATTACH '/tmp/never.duckdb'", "an ATTACH"),
        ("INSTALL httpfs", "a LOAD"),
        ("SET threads = 1", "a SET"),
        ("PRAGMA version", "a PRAGMA"),
        ("CREATE MACRO f() AS 1", "a CREATE"),
        ("FROM issues; DELETE FROM issue_versions", "more than one"),
        ("FROM enable_logging(storage='file', storage_path='/tmp/never')", "`enable_logging`"),
    ],
)
def test_a_query_that_can_not_be_is_refused_in_one_sentence(
    offline: Command, issue_files: Path, sql: str, says: str
) -> None:
    offline("issues", "load", issue_files)
    for verb in (("submit", "issue-kind", "--sql", sql), ("submit", "issue-kind", "--sql", sql, "--dry-run")):
        ran = offline(*verb)
        assert (ran.code, ran.out) == (2, "")
        assert says in ran.sentence
    assert offline("list", "--json").json == []


def test_a_role_is_chosen_with_what_goes_tonight(loaded: Command, books: Books) -> None:
    without = loaded("submit", "issue-work")
    assert without.code == 2
    assert "choose one with --variant: planner, coder, fixer, reviewer" in without.sentence
    assert "no variant `dreamer`" in loaded("submit", "issue-work", "--variant", "dreamer").sentence
    for role in ("planner", "coder", "planner"):
        ran = loaded("submit", "issue-work", "--variant", role, "--order", "age", "--limit", "1", "--json").json
        loaded("collect", ran["job_id"], "--wait", "--poll-seconds", "0.1", "--json")
    told = loaded(
        "query", "SELECT variant, count(*) AS n FROM issue_work_latest GROUP BY ALL ORDER BY 1", "--json"
    ).json
    assert told == [{"variant": "coder", "n": 1}, {"variant": "planner", "n": 2}]
    assert "no order `mood`" in loaded("submit", "issue-work", "--variant", "coder", "--order", "mood").sentence
    assert books.lines_executed == 3


def test_metadata_is_kept_with_a_job_and_finds_it_again(loaded: Command) -> None:
    given = ("--meta", "team=search", "--meta", "ticket=a=b")
    job = loaded("submit", "issue-kind", "--limit", "1", *given, "--json").json["job_id"]
    loaded("submit", "issue-kind", "--limit", "1", "--meta", "budget_usd=0", "--json")
    (found,) = loaded("list", "--meta", "ticket=a=b", "--json").json
    assert (found["job_id"], found["job_type"]) == (job, "task")
    assert found["metadata"] == {"team": "search", "ticket": "a=b"}
    assert loaded("list", "--meta", "team=other", "--json").json == []
    assert loaded("list", "--type", "eval", "--json").json == []
    assert "team=search, ticket=a=b" in loaded("list").out
    rows = loaded("query", f"SELECT metadata->>'team' AS team FROM batch_jobs WHERE job_id = '{job}'", "--json").json
    assert rows == [{"team": "search"}]


@pytest.mark.parametrize("given", ["team", "a b=c", f"{'n' * 65}=c", f"team={'c' * 513}"])
def test_metadata_that_can_not_be_found_again_is_refused(loaded: Command, given: str) -> None:
    ran = loaded("submit", "issue-kind", "--meta", given)
    assert ran.code == 2
    assert "Metadata" in ran.sentence
