"""Each kind of bad input gives one sentence with the way out, and loses nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline.tasks import registry
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command


def test_no_file_matches(offline: Command) -> None:
    for ran in (offline("issues", "load", "/nope/*.json"), offline("submit", "issue-kind", "--files", "/nope/*.json")):
        assert ran.code == 2
        assert ran.sentence == "Error: No file matches `/nope/*.json`; nothing was loaded."


def test_a_file_that_is_no_json_is_named_with_its_line_and_the_others_are_loaded(
    offline: Command, issue_files: Path
) -> None:
    (issue_files / "bad.json").write_text('{\n  "title": oops\n}')
    ran = offline("issues", "load", issue_files)
    assert ran.code == 1
    assert "bad.json:2: not JSON" in ran.sentence
    assert "3 issue versions added" in ran.out


def test_a_bad_file_among_those_submitted_is_named_and_the_good_ones_go(command: Command, issue_files: Path) -> None:
    (issue_files / "bad.json").write_text("{")
    ran = command("submit", "issue-kind", "--files", issue_files / "*.json", "--json")
    assert (ran.code, ran.json["records"]) == (1, 3)
    assert "bad.json:1: not JSON" in ran.sentence


def test_an_empty_selection_submits_nothing_and_says_so(command: Command, books: Books) -> None:
    ran = command("submit", "issue-kind")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "Nothing to do: no record of `issue_kind` matches. Nothing was submitted.\n"
    as_json = command("submit", "issue-kind", "--json").json
    assert (as_json["job_id"], as_json["records"]) == (None, 0)
    assert books.batches == []


def test_an_unknown_task_lists_the_known_ones(offline: Command) -> None:
    ran = offline("submit", "nope")
    assert ran.code == 2
    assert "no task `nope`" in ran.sentence
    assert "issue_kind, issue_summary, issue_work, product_labeling" in ran.sentence


@pytest.mark.parametrize("verb", ["status", "collect", "cancel", "retry"])
def test_an_unknown_job(offline: Command, verb: str) -> None:
    ran = offline(verb, "nope")
    assert ran.code == 2
    assert "no job `nope`" in ran.sentence
    assert "batch-pipeline list" in ran.sentence


def test_a_missing_key_plans_nothing(offline: Command, issue_files: Path) -> None:
    ran = offline("submit", "issue-kind", "--files", issue_files / "*.json", "--provider", "openai", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "OPENAI_API_KEY" in ran.sentence
    assert offline("list", "--json").json == []


def test_a_dry_run_needs_no_key(offline: Command, issue_files: Path) -> None:
    ran = offline("submit", "issue-kind", "--files", issue_files / "*.json", "--provider", "openai", "--dry-run")
    assert ran.code == 0


def test_no_local_server_keeps_the_job_which_goes_when_there_is_one(
    offline: Command, issue_files: Path, settings: Callable[..., None], tmp_path: Path
) -> None:
    with start(LocalServerOptions(port=0, state_dir=tmp_path / "server")) as gone:
        settings(local_url=gone.url)
    ran = offline("submit", "issue-kind", "--files", issue_files / "*.json", "--json")
    assert (ran.code, ran.json["records"]) == (1, 3)
    assert "The local server is not running" in ran.sentence
    assert "batch-pipeline local-server" in ran.sentence
    job = ran.json["job_id"]
    for verb in (("status", job), ("collect", job), ("collect", job, "--wait", "--poll-seconds", "0.1")):
        seen = offline(*verb)
        assert seen.code == (0 if verb[0] == "status" else 1)
    port = int(gone.url.rpartition(":")[2].removesuffix("/v1"))
    with start(LocalServerOptions(port=port, state_dir=tmp_path / "server")):
        ran = offline("collect", job, "--wait", "--json", "--poll-seconds", "0.1")
    assert ran.json["outcomes"] == {"answered": 3}


HTML = "<html><body>502 Bad Gateway</body></html>"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 401, "code": "invalid_api_key", "message": "Incorrect API key provided"}, "Check OPENAI_API_KEY"),
        ({"status": 404, "message": "Not found"}, "refused (404)"),
        ({"status": 429, "message": "Slow down", "headers": {"retry-after-ms": "1"}}, "refused (429): Slow down"),
        ({"status": 500, "message": "Oops", "headers": {"retry-after-ms": "1"}}, "answered 500"),
        ({"status": 502, "body": HTML, "headers": {"retry-after-ms": "1"}}, "answered 502"),
        ({"status": 200, "body": HTML}, "not OpenAI's protocol"),
    ],
    ids=["401", "404", "429", "500", "HTML and 502", "HTML and 200"],
)
def test_a_provider_that_refuses_is_told_and_the_job_goes_later(
    command: Command,
    books: Books,
    server: RunningServer,
    issue_files: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Callable[..., None],
    fault: dict[str, object],
    said: str,
) -> None:
    settings(provider="openai", missing_recheck_seconds=0)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    books.order({"kind": "status", "on": "*", "times": None, **fault})
    ran = command("submit", "issue-kind", "--files", issue_files / "*.json", "--json")
    assert (ran.code, ran.json["records"]) == (1, 3)
    assert said in ran.sentence
    assert "sk-not" not in ran.err
    assert "batch-pipeline collect" in ran.sentence
    assert books.batches == []


def test_a_provider_that_says_nothing_is_told(command: Command, books: Books, issue_files: Path) -> None:
    books.order({"kind": "request_lost", "on": ["files.create", "batches.list", "batches.get"], "times": None})
    ran = command("submit", "issue-kind", "--files", issue_files / "*.json")
    assert ran.code == 1
    assert "Nothing is lost" in ran.sentence or "not running" in ran.sentence
    books.order()
    job = command("list", "--json").json[0]["job_id"]
    assert command("collect", job, "--wait", "--json", "--poll-seconds", "0.1").json["outcomes"] == {"answered": 3}


def test_a_wait_outlives_a_moment_without_a_provider(command: Command, books: Books, issue_files: Path) -> None:
    job = command("submit", "issue-kind", "--files", issue_files / "*.json", "--json").json["job_id"]
    bad_gateway = {"kind": "status", "on": "batches.list", "status": 502, "headers": {"retry-after-ms": "1"}}
    books.order({**bad_gateway, "times": 4})
    ran = command("collect", job, "--wait", "--json", "--poll-seconds", "0.1")
    assert (ran.code, ran.json["outcomes"]) == (0, {"answered": 3})


def test_a_task_file_that_does_not_load_is_named_and_the_others_work(
    offline: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "broken_one.py").write_text("raise ValueError('no such thing')")
    monkeypatch.setattr(registry.package, "__path__", [*registry.package.__path__, str(tmp_path / "tasks")])
    registry.load_tasks.cache_clear()
    try:
        listed, checked = offline("tasks"), offline("tasks", "check")
        assert listed.code == 0
        assert "issue_kind" in listed.out
        assert "tasks/broken_one.py did not load" in listed.sentence
        assert checked.code == 1
        assert "issue_kind: good" in checked.out
        assert "no such thing" in offline("submit", "broken").sentence
    finally:
        registry.load_tasks.cache_clear()


def test_wrong_settings_are_all_named(offline: Command, settings: Callable[..., None]) -> None:
    settings(provider="nobody", max_attempts=0)
    ran = offline("list")
    assert ran.code == 2
    assert "BATCH_PIPELINE_PROVIDER" in ran.sentence
    assert "BATCH_PIPELINE_MAX_ATTEMPTS" in ran.sentence


def test_nothing_is_sent_where_the_pipeline_is_switched_off(
    command: Command, settings: Callable[..., None], issue_files: Path, books: Books
) -> None:
    settings(enabled="false")
    ran = command("submit", "issue-kind", "--files", issue_files / "*.json")
    assert ran.code == 1
    assert "BATCH_PIPELINE_ENABLED is false" in ran.sentence
    assert "BATCH_PIPELINE_ENABLED is false" in command("status").out
    assert books.batches == []


def test_a_wait_ends_where_what_is_planned_may_not_be_sent(
    offline: Command, settings: Callable[..., None], issue_files: Path
) -> None:
    job = offline("submit", "issue-kind", "--files", issue_files / "*.json", "--json").json["job_id"]
    settings(enabled="false")
    ran = offline("collect", job, "--wait", "--json")
    assert ran.code == 1
    assert "BATCH_PIPELINE_ENABLED is false" in ran.err


def test_options_that_exclude_each_other_are_wrong_usage(offline: Command) -> None:
    ran = offline("submit", "issue-kind", "--force", "--outdated")
    assert ran.code == 2
    assert "exclude each other" in ran.err


def test_a_traceback_comes_only_with_debug(offline: Command) -> None:
    assert "Traceback" not in offline("status", "nope").err
    assert "Traceback" in offline("status", "nope", "--debug").err


def test_help_imports_nothing_that_is_slow() -> None:
    """With the slow ones it took 2 s of CPU; without, 0.16 s."""
    slow = {"duckdb", "pyarrow", "sqlalchemy", "openai", "dagster", "pydantic", "rich", "pandas"}
    asked = f"""
import sys
from batch_pipeline.cli import main
main(["--help"])
print("slow:", sorted(set(sys.modules) & {slow!r}))
"""
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert "slow: []" in ran.stdout


def test_a_choice_that_there_is_not_is_told_with_those_that_there_are(offline: Command) -> None:
    ran = offline("cost", "--by", "week")
    assert ran.code == 2
    assert "Invalid value for '--by': 'week' is not one of 'task', 'model'" in ran.err


def test_a_file_that_may_not_be_opened_is_named_with_the_way_out(
    offline: Command, issue_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline("issues", "load", issue_files)
    ran = offline("query", "FROM issues", "--format", "csv", "--output", tmp_path / "nowhere" / "rows.csv")
    assert ran.code == 1
    assert ran.sentence.startswith(f"Error: {tmp_path}/nowhere/rows.csv can't be read or written: No such file")

    def refused(*_: object, **__: object) -> None:  # whoever runs the tests may open every file
        raise duckdb.IOException('IO Error: Cannot open file "warehouse.duckdb": Permission denied')

    monkeypatch.setattr(duckdb, "connect", refused)
    ran = offline("query", "FROM issues")
    assert ran.code == 1
    assert "warehouse.duckdb can't be read or written: Permission denied. Call as the user who owns it" in ran.sentence
