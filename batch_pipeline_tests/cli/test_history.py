from __future__ import annotations

import json
from pathlib import Path

from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command

QUERY = "SELECT record_id, title, body\nFROM issues\nWHERE state = 'open'"
CHAPTER = {
    *("job_id", "job_type", "task", "variant", "prompt_version", "provider", "model", "mode", "started_by"),
    *("started_at", "ended_at", "state", "waits_for", "partition_key", "selection", "selected", "skipped", "given_up"),
    *(
        "records",
        "requests",
        "reused",
        "batches",
        "attempts",
        "outcomes",
        "estimated_cost_usd",
        "bound_usd",
        "cost_usd",
    ),
    "metadata",
}


def collected(command: Command, *arguments: object) -> str:
    job = command("submit", "issue-kind", "--json", *arguments).json["job_id"]
    command("collect", job, "--wait", "--poll-seconds", "0.1", "--json")
    return job


def test_the_history_tells_who_asked_for_what_and_what_it_came_to(
    command: Command, issue_files: Path, books: Books
) -> None:
    command("issues", "load", issue_files)
    first = collected(command, "--sql", QUERY, "--limit", "1")
    second = collected(command, "--state", "closed", "--order", "age")
    ran = command("history")
    assert ran.out.index(second) < ran.out.index(first)
    told = ran.out[ran.out.index(first) :]
    assert "with the command" in told
    assert "records: 1 of 2 selected, 1 answered before, or beyond the limit" in told
    assert "(a query; not answered yet; at most 1)" in told
    assert "query: SELECT record_id, title, body FROM issues WHERE state = 'open'" in told
    assert "1 request in 1 batch; 1 answered; $0.00 paid" in told
    assert "state closed; not answered yet; ordered by age" in ran.out
    chapters = command("history", "--json", "--task", "issue-kind").json
    assert [chapter["job_id"] for chapter in chapters] == [second, first]
    assert chapters[0].keys() == CHAPTER
    assert chapters[1]["selection"]["sql"] == QUERY
    assert command("history", "--task", "product-labeling", "--json").json == []
    assert command("history", "--since", "2999-01-01").out.startswith("Nothing was done")
    assert command("history", "--limit", "1", "--json").json == chapters[:1]
    assert len(books.batches) == 2


def test_the_details_tell_attempts_outcomes_by_code_money_and_events(
    command: Command, issue_files: Path, books: Books
) -> None:
    command("issues", "load", issue_files)
    books.order({"kind": "rows", "status": 400, "code": "too_odd", "every": 3})
    job = collected(command, "--sql", QUERY + " OR TRUE")
    ran = command("details", job)
    assert f"Job        {job}, done" in ran.out
    assert "\nQuery\n  SELECT record_id, title, body\n  FROM issues\n  WHERE state = 'open' OR TRUE\n" in ran.out
    assert "too_odd  failed" in ran.out
    assert "2 answered, 1 failed" in ran.out
    (paid,) = [line for line in ran.out.splitlines() if line.startswith("Paid")]
    (batch,) = [line for line in ran.out.splitlines() if line.startswith("Batch  ")][:1]
    assert paid.split() == ["Paid", "$0.00"]
    assert "as gpt-6-luna; $" in batch
    assert batch.endswith(" a record")
    assert "estimate $0.00" in ran.out
    assert "with the command, took " in ran.out
    for event in ("planned", "uploaded", "submitted", "collected", "closed"):
        assert f"  {event} " in ran.out
    again = command("retry", job, "--json").json["attempt"]
    command("collect", job, "--wait", "--poll-seconds", "0.1", "--json")
    told = command("details", again, "--json").json
    assert told["job_id"] == job
    assert told.keys() == CHAPTER | {"errors", "money", "events"}
    assert told["outcomes"] == {"answered": 3}
    assert [(each["number"], each["records"], each["taken"]) for each in told["attempts"]] == [
        (1, 3, {}),
        (2, 1, {"failed": 1}),
    ]
    assert [(batch["attempt"], batch["outcomes"]) for batch in told["batches"]][1] == (2, {"answered": 1})
    assert told["money"]["saved_usd"] > 0
    assert {"at", "event", "who", "detail"} <= told["events"][0].keys()
    assert "Attempt  Started" in command("details", job).out
    assert json.dumps(told)


def test_what_is_not_there_is_said(offline: Command) -> None:
    assert offline("history").out.startswith("Nothing was done yet")
    assert offline("details", "nobody").code == 2
    wrong = offline("history", "--since", "yesterday")
    assert wrong.code == 2
    assert "2026-11-20" in wrong.err
