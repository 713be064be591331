from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command

SUBMITTED = [
    "job_id",
    "task",
    "state",
    "records",
    "requests",
    "reused",
    "batches",
    "input_tokens",
    "estimated_cost_usd",
]
STATUS = [
    *("job_id", "task", "state", "records", "requests", "outcomes", "attempts", "batches"),
    *("estimated_cost_usd", "cost_usd"),
]


def submitted(command: Command, issue_files: Path, *more: object) -> str:
    ran = command("submit", "issue-kind", "--files", issue_files / "*.json", "--json", *more)
    assert ran.code == 0, ran.err
    return ran.json["job_id"]


def test_a_job_goes_from_files_to_a_file_for_each_answer(command: Command, issue_files: Path, tmp_path: Path) -> None:
    ran = command("submit", "issue-kind", "--files", issue_files / "*.json", "--json")
    assert list(ran.json) == SUBMITTED
    assert (ran.json["records"], ran.json["requests"], ran.json["batches"]) == (3, 3, 1)
    job = ran.json["job_id"]
    collected = command("collect", job, "--wait", "--poll-seconds", "0.1", "--results", tmp_path / "out")
    assert collected.code == 0
    assert "Completed: 3/3 (done)" in collected.out
    assert "3 answered" in collected.out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"acme_orbit_issue_{number}_issue-kind.json" for number in (1, 2, 3)]
    answer = json.loads((tmp_path / "out" / names[0]).read_text())
    assert (answer["record_id"], list(answer["answer"])) == ("acme/orbit#1", ["label"])
    status = command("status", job, "--json")
    assert list(status.json)[: len(STATUS)] == STATUS
    assert (status.json["state"], status.json["outcomes"]) == ("done", {"answered": 3})
    assert {"batch_id", "remote_id", "state", "remote_status", "completed", "total"} <= status.json["batches"][0].keys()


def test_a_wait_that_prints_json_keeps_stdout_for_it(command: Command, issue_files: Path) -> None:
    ran = command("collect", submitted(command, issue_files), "--wait", "--json", "--poll-seconds", "0.1")
    assert ran.json["state"] == "done"
    assert "Completed: 3/3" in ran.err


def test_what_is_answered_is_not_asked_again_unless_forced(command: Command, issue_files: Path, books: Books) -> None:
    command("collect", submitted(command, issue_files), "--wait", "--poll-seconds", "0.1")
    again = command("submit", "issue_kind")
    assert again.code == 0
    assert again.out.startswith("Nothing to do: of 3 records, 3 answered already.")
    assert command("submit", "issue_kind", "--json").json["job_id"] is None
    assert books.lines_executed == 3
    forced = command("submit", "issue_kind", "--force", "--json")
    assert forced.json["requests"] == 3


def test_the_same_key_is_the_same_job(command: Command, issue_files: Path) -> None:
    first, second = (submitted(command, issue_files, "--key", "mine") for _ in range(2))
    assert first == second


def test_a_selection_narrows_by_state_limit_and_ids(command: Command, issue_files: Path) -> None:
    command("issues", "load", issue_files)
    assert command("submit", "issue-kind", "--state", "closed", "--dry-run", "--json").json["records"] == 1
    assert command("submit", "issue-kind", "--limit", "2", "--dry-run", "--json").json["records"] == 2
    assert command("submit", "issue-kind", "--repo", "acme/orbit", "--dry-run", "--json").json["records"] == 3
    assert command("submit", "issue-kind", "--org", "other", "--dry-run", "--json").json["records"] == 0
    some = command("submit", "issue-kind", "--ids", "acme/orbit#1, acme/orbit#3", "--dry-run", "--json")
    assert some.json["records"] == 2


def test_files_select_their_own_issues_only(command: Command, issue_files: Path) -> None:
    command("issues", "load", issue_files)
    ran = command("submit", "issue-kind", "--files", issue_files / "2.json", "--json")
    assert ran.json["records"] == 1


def test_a_dry_run_leaves_nothing_behind(command: Command, issue_files: Path, books: Books, tmp_path: Path) -> None:
    ran = command("submit", "issue-kind", "--files", issue_files / "*.json", "--dry-run", "--json")
    assert ran.json["dry_run"]
    assert ran.json["job_id"] is None
    assert (ran.json["records"], ran.json["requests"], ran.json["batches"]) == (3, 3, 1)
    assert 0 < ran.json["batch_usd"] < ran.json["realtime_usd"]
    assert "nothing was sent" in command("submit", "issue-kind", "--dry-run").out
    assert books.batches == []
    assert command("list", "--json").json == []
    assert not (tmp_path / "data" / "batches").exists()
    assert command("submit", "issue-kind", "--json").json["requests"] == 3


def test_a_dry_run_counts_identical_requests_once(command: Command, tmp_path: Path) -> None:
    rows = [{"repo": "acme/orbit", "number": number, "title": "Same", "body": "Same"} for number in range(1, 6)]
    (tmp_path / "same.json").write_text(json.dumps(rows))
    ran = command("submit", "issue-kind", "--files", tmp_path / "same.json", "--dry-run", "--json")
    assert (ran.json["records"], ran.json["requests"]) == (5, 1)


def test_a_job_that_waits_for_another_brings_that_one_home_too(command: Command, issue_files: Path) -> None:
    """Without Dagster nobody else collected the first job, and the second one waited for ever."""
    submitted(command, issue_files)
    second = command("submit", "issue-kind", "--json").json
    assert (second["records"], second["requests"]) == (3, 0)
    ran = command("collect", second["job_id"], "--wait", "--json", "--poll-seconds", "0.1")
    assert ran.json["outcomes"] == {"answered": 3}


def test_records_without_an_answer_fail_only_a_strict_call(command: Command, issue_files: Path, books: Books) -> None:
    books.order({"kind": "refusal", "custom_id": "*issue_2", "times": None})
    job = submitted(command, issue_files)
    assert command("collect", job, "--wait", "--poll-seconds", "0.1").code == 0
    strict = command("collect", job, "--wait", "--strict", "--json")
    assert (strict.code, strict.json["outcomes"]) == (1, {"answered": 2, "refused": 1})


def test_a_refused_record_goes_again_on_request(command: Command, issue_files: Path, books: Books) -> None:
    books.order({"kind": "refusal", "custom_id": "*issue_2"})
    job = submitted(command, issue_files)
    command("collect", job, "--wait", "--poll-seconds", "0.1")
    assert "1 record sent again" in command("retry", job).out
    ran = command("collect", job, "--wait", "--strict", "--json", "--poll-seconds", "0.1")
    assert (ran.code, ran.json["outcomes"]) == (0, {"answered": 3})
    assert "Nothing to send again" in command("retry", job).out


def test_a_job_that_is_cancelled_is_not_sent(
    command: Command, offline: Command, settings: Callable[..., None], server: RunningServer, issue_files: Path
) -> None:
    settings(local_url="http://127.0.0.1:9/v1")
    job = offline("submit", "issue-kind", "--files", issue_files / "*.json", "--json").json["job_id"]
    settings(local_url=server.url)
    assert command("cancel", job).code == 0
    ran = command("collect", job, "--wait", "--json", "--poll-seconds", "0.1")
    assert (ran.json["state"], ran.json["outcomes"]) == ("cancelled", {"cancelled": 3})


def test_the_list_and_the_whole_say_what_there_is(command: Command, issue_files: Path) -> None:
    job = submitted(command, issue_files)
    command("collect", job, "--wait", "--poll-seconds", "0.1")
    listed = command("list")
    assert job in listed.out
    assert "3/3" in listed.out
    assert [one["job_id"] for one in command("list", "--json").json] == [job]
    whole = command("status", "--json").json
    assert (whole["issues"], whole["repos"], whole["jobs"], whole["problem"]) == (3, 1, {"done": 1}, None)
    assert "Jobs       1 done" in command("status").out
    shown = command("status", job, "--cached")
    assert "Records   3: 3 answered" in shown.out


def test_the_log_has_each_change_of_state_and_nothing_of_what_was_asked(
    command: Command, issue_files: Path, settings: Callable[..., None]
) -> None:
    settings(log_format="json")
    ran = command("submit", "issue-kind", "--files", issue_files / "*.json")
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert {"planned", "submitted"} <= {line["message"].split()[0] for line in lines}
    assert "It breaks" not in ran.err
    failed = command("status", "nope")
    assert json.loads(failed.err)["level"] == "error"
