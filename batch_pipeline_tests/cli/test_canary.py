"""`submit --canary`, and what a person does about a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command

WAIT = ("--wait", "--poll-seconds", "0.1")


@pytest.fixture
def loaded(command: Command, issue_files: Path) -> Command:
    """The command, with three issues loaded."""
    command("issues", "load", issue_files)
    return command


def test_a_canary_goes_first_and_the_rest_follows(loaded: Command, books: Books) -> None:
    ran = loaded("submit", "issue-kind", "--canary", "1", "--key", "mine")
    assert (ran.code, ran.err) == (0, "")
    again = loaded("submit", "issue-kind", "--canary", "1", "--key", "mine", "--json").json
    job, canary = again["job_id"], again["canary_job_id"]
    assert f"its canary, job {canary}, goes first" in ran.out
    assert "0 of 1 batches submitted" in ran.out
    assert f"canary {canary} goes first" in loaded("list").out.replace("\n", " ")
    assert canary in loaded("status", job).out
    collected = loaded("collect", job, *WAIT, "--json")
    assert (collected.code, collected.json["outcomes"]) == (0, {"answered": 3})
    told = loaded("details", job).out
    assert "canary passed" in told
    assert books.lines_executed == 3


def test_after_a_bad_one_the_wait_ends_and_a_person_decides(loaded: Command, books: Books) -> None:
    books.order({"kind": "prose", "times": None})
    job = loaded("submit", "issue-kind", "--canary", "1", "--json").json["job_id"]
    ran = loaded("collect", job, *WAIT)
    assert ran.code == 1
    assert "stopped by its canary: 0 of its 1 records are answered (1 invalid), and " in ran.out
    assert loaded("status", job, "--json").json["batches"][0]["wait_kind"] == "stopped"
    assert loaded("collect", job, "--json").code == 1
    books.order()
    sent = loaded("collect", job, "--despite-canary", *WAIT, "--json")
    assert (sent.code, sent.json["state"], sent.json["outcomes"]["answered"]) == (0, "done", 2)


def test_despite_no_canary_is_wrong_usage(loaded: Command) -> None:
    job = loaded("submit", "issue-kind", "--canary", "0", "--json").json["job_id"]
    ran = loaded("collect", job, "--despite-canary")
    assert ran.code == 2
    assert "has no canary" in ran.sentence
