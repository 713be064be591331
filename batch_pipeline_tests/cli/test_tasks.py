from __future__ import annotations

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
    assert told["usd_per_million_tokens"]["batch"]["input"] > 0
    assert told["schema"]["properties"]["label"]["enum"] == ["bug", "feature", "question"]


def test_every_task_of_the_project_is_good(offline: Command) -> None:
    ran = offline("tasks", "check", "--json")
    assert (ran.code, ran.json["wrong"]) == (0, {})
