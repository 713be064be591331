"""`submit --realtime`, and Ctrl-C in the middle of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.command import environment, started
from batch_pipeline_tests.endpoint import endpoint, glad

Settings = Callable[..., None]


@pytest.fixture
def loaded(command: Command, issue_files: Path) -> Command:
    """The command, with three issues loaded."""
    command("issues", "load", issue_files)
    return command


def test_the_answers_are_there_at_once_with_both_prices_told_before(loaded: Command, books: Books) -> None:
    ran = loaded("submit", "issue-kind", "--realtime")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("To be answered at once: 3 records in 3 requests, estimated at $0.000")
    assert " in batch, $0.000" in ran.out
    assert "1 batch answered at once by local" in ran.out
    assert ran.out.endswith('  3 answered\nNext: batch-pipeline query "FROM issue_kind_latest"\n')
    job = loaded("list", "--json").json[0]
    assert (job["state"], job["mode"], job["outcomes"]) == ("done", "realtime", {"answered": 3})
    assert "smollm2-135m at local, realtime" in loaded("status", job["job_id"]).out
    assert "realtime" in loaded("details", job["job_id"]).out
    assert books.batches == []
    assert loaded("submit", "issue-kind", "--realtime").out.startswith("Nothing to do: of 3 records, 3 answered")


def test_costs_are_told_by_mode(loaded: Command) -> None:
    loaded("submit", "issue-kind", "--realtime", "--limit", "1")
    job = loaded("submit", "issue-kind", "--json").json["job_id"]
    loaded("collect", job, "--wait", "--poll-seconds", "0.1")
    found = loaded("cost", "--json").json
    assert [(one["mode"], one["answered"]) for one in found] == [("batch", 2), ("realtime", 1)]
    assert "smollm2-135m, realtime" in loaded("cost").out


@pytest.mark.parametrize(
    ("given", "told"),
    [(["--flex"], "goes with --realtime"), (["--realtime", "--flex"], "no flex processing")],
)
def test_flex_is_for_realtime_and_for_who_has_it(loaded: Command, given: list[str], told: str) -> None:
    ran = loaded("submit", "issue-kind", *given)
    assert ran.code == 2
    assert told in ran.err


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_one_that_is_ended_goes_on_under_its_key(
    loaded: Command, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sent: signal.Signals
) -> None:
    arguments = ("submit", "issue-kind", "--realtime", "--key", "mine", "--provider", "openai", "--json")
    with endpoint(glad, held=True) as there:
        at = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": there.url}
        process = started(environment(tmp_path / "data", **at, BATCH_PIPELINE_REALTIME_CONCURRENCY=2), *arguments)
        try:
            there.wait_for(2)
            began = time.monotonic()
            process.send_signal(sent)
            assert process.wait(10) != 0  # within 5 s, on a machine that does nothing else
            assert time.monotonic() - began < 5
        finally:
            process.kill()
            process.communicate()
        there.go.set()
        for name, value in at.items():
            monkeypatch.setenv(name, value)
        ran = loaded(*arguments)
        assert ran.code == 0, ran.err
        assert len(there.bodies) == 3 + 2
    assert loaded("list", "--json").json[0]["job_id"] == ran.json["job_id"]
