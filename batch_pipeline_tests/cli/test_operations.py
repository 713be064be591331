"""`doctor`, `prune`, `resolve`, `recover` and `submit --budget`, as a person calls them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command

POLL = ("--wait", "--poll-seconds", "0.1")


@pytest.fixture
def paid(
    command: Command, settings: Callable[..., None], server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command, with a provider that costs money."""
    settings(provider="openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    return command


def submitted(command: Command, issue_files: Path, *more: object) -> str:
    ran = command("submit", "issue-kind", "--files", issue_files / "*.json", "--json", *more)
    assert ran.code == 0, ran.err
    return ran.json["job_id"]


@pytest.fixture
def held(paid: Command, settings: Callable[..., None], books: Books, issue_files: Path) -> str:
    """A batch whose reply to create was lost, at a server that can't be fenced."""
    settings(hold_above_usd=0)
    books.order(
        {"kind": "reply_lost", "on": "batches.create"},
        {"kind": "listing_empty", "times": None},
        {"kind": "status", "on": "files.delete", "status": 405, "times": None},
    )
    job = submitted(paid, issue_files)
    assert paid("collect", job, *POLL).code == 1
    return f"{job}-0000"


def test_a_doctor_that_finds_nothing_ends_well(command: Command, issue_files: Path) -> None:
    job = submitted(command, issue_files)
    command("collect", job, *POLL)
    ran = command("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert "ok       warehouse" in ran.out
    assert {finding["level"] for finding in command("doctor", "--json").json} == {"ok"}


def test_a_doctor_that_finds_a_problem_says_so_and_fails(offline: Command) -> None:
    ran = offline("doctor", "--json")
    assert ran.code == 1
    (problem,) = [finding for finding in ran.json if finding["level"] == "problem"]
    assert problem["what"] == "providers"
    assert "local server is not running" in problem["says"]
    assert ran.sentence == "Error: 1 problem found; what to do is said beside each."


def test_files_of_old_jobs_are_pruned_and_answers_stay(command: Command, issue_files: Path) -> None:
    command("collect", submitted(command, issue_files), *POLL)
    assert command("prune", "--older-than", "1").out.startswith("Nothing to remove")
    ran = command("prune", "--older-than", "0", "--json")
    assert (ran.code, ran.json["jobs"]) == (0, 1)
    assert ran.json["bytes"] > 0
    assert command("query", "SELECT count(*) AS n FROM issue_kind_latest", "--json").json == [{"n": 3}]


def test_nothing_is_pruned_without_an_age(offline: Command) -> None:
    assert offline("prune").code == 2
    assert offline("prune", "--older-than", "-1").code == 2


def test_a_held_batch_is_told_with_all_that_a_person_needs(held: str, command: Command) -> None:
    ran = command("resolve", held)
    known = command("resolve", held, "--json").json
    assert ran.code == 0
    for said in (known["claim"], known["file_id"], "May cost", "the one of now", f"resolve {held} --recreate"):
        assert said in ran.out
    assert known["resolved"] is None
    assert known["posted_at"] > known["claimed_at"]
    assert f"Next: batch-pipeline resolve {held}" in command("status", held.removesuffix("-0000"), "--cached").out
    assert f"{held} is held" in command("doctor").out


def test_a_batch_that_no_one_has_is_sent_anew(held: str, command: Command, books: Books) -> None:
    assert command("resolve", held, "--recreate", "--json").json["resolved"] == "recreated"
    books.order()
    collected = command("collect", held.removesuffix("-0000"), *POLL, "--json")
    assert collected.json["outcomes"] == {"answered": 3}
    assert len(books.batches) == 2


def test_a_batch_that_is_found_is_adopted_and_what_can_not_be_it_is_refused(
    held: str, command: Command, books: Books
) -> None:
    assert "exclude each other" in command("resolve", held, "--adopt", "batch_1", "--recreate").err
    assert "no batch `batch_1`" in command("resolve", held, "--adopt", "batch_1").sentence
    unknown = command("resolve", "nope-0000")
    assert unknown.code == 2
    assert "no batch `nope-0000`" in unknown.sentence
    (remote,) = books.batches
    assert command("resolve", held, "--adopt", remote["batch_id"]).code == 0
    books.order()
    collected = command("collect", held.removesuffix("-0000"), *POLL, "--json")
    assert collected.json["outcomes"] == {"answered": 3}
    assert books.lines_executed == 3


def test_a_ledger_that_is_gone_comes_back(command: Command, issue_files: Path, tmp_path: Path, books: Books) -> None:
    job = submitted(command, issue_files)
    for path in (tmp_path / "data").glob("ledger.db*"):
        path.unlink()
    ran = command("recover", "--json")
    assert (ran.code, ran.json["jobs"], ran.json["orphans"]) == (0, [job], [])
    assert "0 jobs came back" in command("recover", "--provider", "local").out
    assert command("collect", job, *POLL, "--json").json["outcomes"] == {"answered": 3}
    assert len(books.batches) == 1


def test_a_recovery_without_a_provider_says_so(offline: Command) -> None:
    ran = offline("recover")
    assert ran.code == 1
    assert "local server is not running" in ran.sentence


def test_a_job_keeps_to_its_own_budget_and_says_why_it_waits(paid: Command, issue_files: Path, books: Books) -> None:
    ran = paid("submit", "issue-kind", "--files", issue_files / "*.json", "--budget", "0.0000001", "--json")
    assert (ran.code, ran.json["state"]) == (0, "planned")
    assert "budget: this job may spend 0.000000 USD" in ran.sentence
    assert books.batches == []
    listed = paid("list")
    assert "Waiting:" in listed.out
    assert f"raise --budget of `batch-pipeline collect {ran.json['job_id']}`" in listed.out
    assert "(place 1 of 1 in the queue)" in listed.out
    assert "(place 1 of 1 in the queue)" in paid("status", ran.json["job_id"], "--cached").out


def test_a_budget_that_was_too_small_is_raised_by_hand(paid: Command, issue_files: Path, books: Books) -> None:
    """It stood with the job for good: no setting was above it, and submitting again found the same job."""
    job = submitted(paid, issue_files, "--budget", "0.0000001")
    assert books.batches == []
    ran = paid("collect", job, "--budget", "1", *POLL, "--json")
    assert (ran.code, ran.json["outcomes"]) == (0, {"answered": 3})
    assert paid("collect", job, "--budget", "nan").code == 2


@pytest.mark.parametrize("budget", ["nan", "inf", "-1", "much"])
def test_a_budget_that_is_no_amount_is_wrong_usage(offline: Command, budget: str) -> None:
    """Nothing is more than NaN, so all would have been within it."""
    ran = offline("submit", "issue-kind", "--budget", budget)
    assert ran.code == 2
    assert "--budget" in ran.err


@pytest.mark.parametrize("verb", ["doctor", "prune", "resolve", "recover", "cost", "submit"])
def test_the_help_of_each_verb_has_an_example(offline: Command, verb: str) -> None:
    assert f"Example: batch-pipeline {verb}" in " ".join(offline(verb, "--help").out.split())
