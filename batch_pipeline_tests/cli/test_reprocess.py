from __future__ import annotations

from pathlib import Path

import pytest

from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command


@pytest.fixture
def failed(command: Command, issue_files: Path, books: Books) -> str:
    """A job of three issues, of which one was refused."""
    command("issues", "load", issue_files)
    books.order({"kind": "rows", "status": 400, "code": "too_odd", "every": 3})
    job = command("submit", "issue-kind", "--json").json["job_id"]
    command("collect", job, "--wait", "--poll-seconds", "0.1", "--json")
    books.order()
    return job


def test_what_failed_is_shown_asked_anew_and_linked(command: Command, failed: str, books: Books) -> None:
    dry = command("reprocess", "issue-kind", "--dry-run")
    assert dry.out.startswith("Failed in 1 job of issue_kind: 1 too_odd.\nDry run of issue_kind")
    assert "Records   1 of 1 selected" in dry.out
    assert command("reprocess", "issue-kind", "--dry-run", "--json").json == {
        "dry_run": True,
        "failed": {"too_odd": 1},
        "records": 1,
    }
    assert command("submit", "issue-kind").out.startswith("Nothing to do: of 3 records, 2 answered already, 1 given up")
    ran = command("reprocess", "issue-kind", "--code", "too_odd", "--since", "2020-01-01", "--job", failed)
    assert "1 record in 1 request, 1 batch submitted to local" in ran.out
    job = command("list", "--json").json[0]["job_id"]
    command("collect", job, "--wait", "--poll-seconds", "0.1", "--json")
    told = command("details", job, "--json").json
    assert told["job_type"] == "reprocess"
    assert told["metadata"]["reprocesses"]["jobs"] == [failed]
    assert "reprocessed" in command("details", failed).out
    assert books.lines_executed == 4
    assert command("reprocess", "issue-kind").out.startswith("Nothing to do: no record of `issue_kind`")
    nothing = command("reprocess", "issue-kind", "--json").json
    assert nothing == {"task": "issue_kind", "failed": {}, "jobs": []}


def test_the_job_is_printed_as_submit_prints_it(command: Command, failed: str) -> None:
    told = command("reprocess", "issue-kind", "--job", failed, "--key", "mine", "--json").json
    assert (told["task"], told["failed"]) == ("issue_kind", {"too_odd": 1})
    assert told["jobs"][0]["records"] == 1
    again = command("reprocess", "issue-kind", "--job", failed, "--key", "mine", "--json").json
    assert [job["job_id"] for job in again["jobs"]] == [told["jobs"][0]["job_id"]]


def test_what_can_not_be_meant_is_said_in_a_sentence(offline: Command) -> None:
    assert "2026-11-20" in offline("reprocess", "issue-kind", "--since", "lately").sentence
    assert "no job `nobody`" in offline("reprocess", "issue-kind", "--job", "nobody").sentence
    assert "no task `nothing`" in offline("reprocess", "nothing").sentence
