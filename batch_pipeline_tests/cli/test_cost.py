"""`cost`: estimate, settlement and the provider's own usage, side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.cli.test_operations import POLL, submitted


@pytest.fixture
def paid(
    command: Command, settings: Callable[..., None], server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command, with a provider that costs money and looks for missing rows at once."""
    settings(provider="openai", missing_recheck_seconds=0)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    return command


def test_a_job_is_shown_in_each_mode_and_agrees_with_the_provider(paid: Command, issue_files: Path) -> None:
    job = submitted(paid, issue_files)
    paid("collect", job, *POLL)
    told = paid("cost", job, "--json").json
    assert (told["job_id"], told["batches"], told["collected"], told["compared"]) == (job, 1, 1, 1)
    assert told["settled"] == told["reported"]
    assert told["agrees"]
    assert told["paid_usd"] == pytest.approx(told["batch_usd"])
    assert told["saved_usd"] == pytest.approx(told["realtime_usd"] - told["batch_usd"])
    assert told["per_record_usd"] == pytest.approx(told["paid_usd"] / 3)
    ran = paid("cost", job)
    assert "Saved     $" in ran.out
    assert "agrees with the settlement over 1 collected batch" in ran.out
    assert all(len(line) <= 80 for line in ran.out.splitlines())


def test_a_difference_is_said_in_tokens_and_money(paid: Command, issue_files: Path, books: Books) -> None:
    """The provider bills a row that is in no file."""
    books.order({"kind": "lines", "damage": "missing", "custom_id": "*issue_2", "times": None})
    job = submitted(paid, issue_files)
    books.order()
    paid("collect", job, *POLL)
    told = paid("cost", job, "--json").json
    assert not told["agrees"]
    assert told["difference"]["input_tokens"] > 0
    assert told["difference_usd"] > 0
    assert "differs from the settlement" in paid("cost", job).out
    assert "differs from the settlement" in paid("cost").out


def test_what_ran_here_was_free_and_is_shown_as_another_model(command: Command, issue_files: Path) -> None:
    job = submitted(command, issue_files)
    assert "Nothing is collected yet" in command("cost", job).out
    command("collect", job, *POLL)
    told = command("cost", job, "--json").json
    assert (told["paid_usd"], told["estimate_usd"]) == (0, 0)
    assert 0 < told["batch_usd"] < told["realtime_usd"]
    assert "as gpt-6-luna" in command("cost", job).out


def test_all_jobs_are_summed_by_task_and_model(command: Command, issue_files: Path) -> None:
    assert "no jobs yet" in command("cost").out
    for state in ("open", "closed"):
        command("collect", submitted(command, issue_files, "--state", state), *POLL)
    (told,) = command("cost", "--json").json
    assert (told["task"], told["jobs"], told["records"], told["answered"]) == ("issue_kind", 2, 3, 3)
    one_line = command("cost").out.splitlines()[1]
    assert one_line.startswith("issue_kind")


def test_an_unknown_job_has_no_cost(offline: Command) -> None:
    ran = offline("cost", "nope")
    assert ran.code == 2
    assert "no job `nope`" in ran.sentence
