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


@pytest.mark.parametrize("by", ["task", "model", "repo", "night", "day"])
def test_all_jobs_are_compared_by_anything(paid: Command, issue_files: Path, by: str) -> None:
    paid("collect", submitted(paid, issue_files), *POLL)
    told = paid("cost", "--by", by, "--json").json
    (group,) = told["groups"]
    assert (told["by"], group["answered"], told["total"]["paid_usd"]) == (by, 3, group["paid_usd"])
    assert 0 < group["paid_usd"] == pytest.approx(group["batch_usd"])
    assert group["saved_usd"] == pytest.approx(group["realtime_usd"] - group["batch_usd"])
    assert told["year"]["year_usd"] == pytest.approx(365 * group["saved_usd"])
    ran = paid("cost", "--by", by)
    assert group[by] in ran.out
    assert "a year at this rate" in ran.out
    assert all(len(line) <= 120 for line in ran.out.splitlines())


def test_a_chart_is_drawn_into_a_file(command: Command, issue_files: Path, tmp_path: Path) -> None:
    assert "no jobs yet" in command("cost", "--by", "task").out
    command("collect", submitted(command, issue_files), *POLL)
    ran = command("cost", "--chart", tmp_path / "cost.png")
    assert (ran.code, (tmp_path / "cost.png").read_bytes()[:4]) == (0, b"\x89PNG")
    assert "What ran on this machine was free" in ran.out
    ran = command("cost", "--chart", tmp_path / "nowhere" / "cost.png")
    assert (ran.code, "can't be written" in ran.sentence) == (1, True)


def test_what_all_jobs_came_to_is_told_with_a_years_saving(command: Command, issue_files: Path) -> None:
    job = submitted(command, issue_files)
    command("collect", job, *POLL)
    assert "/ 1 day x 365" in command("cost").out
    ran = command("cost", job, "--by", "task")
    assert (ran.code, "leave the job's id out" in ran.err) == (2, True)
