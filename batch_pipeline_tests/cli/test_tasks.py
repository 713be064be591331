from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.turn import place, wait_for
from batch_pipeline.settings import load_settings
from batch_pipeline.tasks.issue_kind import issue_kind
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command


def test_tasks_are_listed_with_their_model_and_answer(offline: Command) -> None:
    ran = offline("tasks", "--json")
    told = {one["task"]: one for one in ran.json["tasks"]}
    assert told["issue_kind"]["model"] == "smollm2-135m"
    assert told["issue_kind"]["answer"] == ["label"]
    assert ran.json["failed"] == {}
    assert "product_labeling" in offline("tasks").out


def test_a_task_is_shown_with_its_price_by_its_name_with_hyphens(offline: Command) -> None:
    ran = offline("tasks", "show", "issue-kind")
    assert ran.code == 0
    assert "Price, batch" in ran.out
    assert "as gpt-6-luna" in ran.out
    told = offline("tasks", "show", "issue_kind", "--json").json
    assert (told["nightly"], offline("tasks", "show", "issue-work", "--json").json["nightly"]) == (True, False)
    assert "asked by hand only" in offline("tasks", "show", "issue-work").out
    assert told["usd_per_million_tokens"]["batch"]["input"] > 0
    assert told["schema"]["properties"]["label"]["enum"] == ["bug", "feature", "question"]


def test_every_task_of_the_project_is_good(offline: Command) -> None:
    ran = offline("tasks", "check", "--json")
    assert (ran.code, ran.json["wrong"]) == (0, {})


def test_answers_of_an_older_prompt_are_counted_shown_and_asked_again_with_the_estimate_first(
    command: Command, issue_files: Path, books: Books
) -> None:
    command("issues", "load", issue_files)
    older = replace(issue_kind, system="Bug, feature or question?")
    pipeline = Pipeline(load_settings())
    job = place(pipeline, Order(older)).job
    wait_for(pipeline, job.job_id, 0.05)
    pipeline.close()
    shown = command("tasks", "show", "issue-kind").out
    assert "3 answers of older versions: `submit issue_kind --outdated` asks again." in shown
    assert f"tasks show issue_kind --diff {older.prompt_version()}" in shown
    told = command("tasks", "show", "issue-kind", "--json").json
    assert told["outdated_answers"] == 3
    assert [(one["version"], one["current"], one["answers"]) for one in told["versions"]] == [
        (issue_kind.prompt_version(), True, 0),
        (older.prompt_version(), False, 3),
    ]
    changed = command("tasks", "show", "issue-kind", "--diff", older.prompt_version()).out
    assert "\n-Bug, feature or question?\n" in changed
    assert command("submit", "issue-kind").out.startswith("Nothing to do")
    ran = command("submit", "issue-kind", "--outdated")
    estimate, job_line = ran.out.splitlines()[:2]
    assert estimate.startswith("Outdated or not answered: 3 records in 3 requests, estimated at $0.0000")
    assert job_line.startswith("Job issue_kind-")
    assert len(books.batches) == 2
    assert command("tasks", "show", "issue-kind", "--diff", issue_kind.prompt_version()).out.startswith("Nothing chang")
    assert "there are:" in command("tasks", "show", "issue-kind", "--diff", "nope").sentence
