"""What follows from a night's issues."""

from __future__ import annotations

from collections.abc import Callable, Generator

import dagster as dg
import pytest

from batch_pipeline.automation.collected import CollectedCursor, new_repos, planned_from_issues
from batch_pipeline.definitions import build_definitions
from batch_pipeline.ledger.repos import Repo, Repos
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.fake_github import FakeGitHub, fake_github
from batch_pipeline_tests.project import NIGHT, REPOS, Project, cell

MakeProject = Callable[..., Project]
PLANS = {f"{task}/{part}" for task in ("issue_kind", "product_labeling") for part in ("requests", "submission")}


@pytest.fixture
def github() -> Generator[FakeGitHub]:
    with fake_github() as server:
        yield server


def test_repositories_of_settings_ledger_and_warehouse_become_partitions(make_project: MakeProject) -> None:
    project = make_project(repos="set/one")
    project.load_samples()
    Repos(project.pipeline.ledger).save(Repo("read/two", added_at=1.0))
    project.tick("collected_issues")
    assert set(project.instance.get_dynamic_partitions("repos")) == {*REPOS, "set/one", "read/two"}
    assert project.tick("collected_issues").skipped == "Nothing new was collected."


def test_names_that_would_break_a_partition_are_refused_in_words() -> None:
    added, refused = new_repos(["a/a"], ["a/a", "b/b", "b|b", "c...c/d"])
    assert added == ["b/b"]
    assert len(refused) == 2


def test_what_was_collected_is_planned_in_one_run_for_all_tasks(project: Project) -> None:
    project.night()
    (request,) = project.tick("collected_issues").requests
    assert {key.to_user_string() for key in request.asset_selection or ()} == PLANS
    assert request.tags["dagster/asset_partition_range_start"] == cell(REPOS[0])
    assert request.tags["dagster/asset_partition_range_end"] == cell(REPOS[1])
    project.run(request)
    assert project.tick("collected_issues").requests == []


def test_a_task_that_is_not_nightly_is_left_to_a_person() -> None:
    """The samples with long answers would keep a small machine busy for hours."""
    every = [each for each in build_definitions().assets or [] if isinstance(each, dg.AssetsDefinition)]
    planned = {task.task for task in planned_from_issues(every)}
    assert planned == {"issue_kind", "product_labeling", "issue_embeddings"}
    left = {name for name, task in load_tasks().by_name.items() if not task.nightly}
    assert left == {"issue_summary", "issue_work"}


def test_a_plan_whose_run_died_is_asked_for_again_and_not_for_ever(project: Project) -> None:
    project.night()
    asked = [len(project.tick("collected_issues").requests) for _ in range(5)]  # no run is ever started
    assert asked == [1, 1, 1, 0, 0]


def test_a_repository_that_fails_leaves_the_others_alone_and_is_asked_for_alone(
    make_project: MakeProject, github: FakeGitHub
) -> None:
    github.repo("good/one").issue(1, "2026-11-20T10:00:00Z")
    project = make_project(github_api_url=github.url)
    project.add_repos("good/one", "bad/two")
    assert project.night().success
    assert project.cells("issues") == {cell("good/one")}
    assert "bad/two" in project.told("issues")[cell("bad/two")]
    requests = project.tick("collected_issues").requests
    (again,) = [request for request in requests if request.asset_selection == [dg.AssetKey("issues")]]
    assert (again.partition_key, again.tags["batch_pipeline/attempt"]) == (cell("bad/two"), "2")
    assert not project.run(again).success
    github.repo("bad/two", 2).issue(7, "2026-11-20T11:00:00Z")
    (last,) = [each for each in project.tick("collected_issues").requests if each.partition_key == cell("bad/two")]
    assert project.run(last).success
    assert project.cells("issues") == {cell("good/one"), cell("bad/two")}


def test_many_repositories_that_fail_at_once_are_asked_for_in_one_run(
    make_project: MakeProject, github: FakeGitHub
) -> None:
    project = make_project(github_api_url=github.url)
    names = [f"bad/{number}" for number in range(8)]
    project.add_repos(*names)
    assert project.night().success
    (again,) = project.tick("collected_issues").requests
    assert again.tags["batch_pipeline/attempt"] == "2"
    assert again.tags["dagster/asset_partition_range_end"] == cell(names[-1])
    project.run(again)
    (last,) = project.tick("collected_issues").requests
    project.run(last)
    assert project.tick("collected_issues").requests == []


def test_issues_from_github_bring_their_comments_and_say_what_was_new(
    make_project: MakeProject, github: FakeGitHub
) -> None:
    repo = github.repo("good/one")
    repo.issue(1, "2026-11-20T10:00:00Z")
    repo.comment(11, 1, "2026-11-20T10:05:00Z")
    project = make_project(github_api_url=github.url)
    project.add_repos("good/one")
    assert project.night().success
    told = project.metadata("issues", cell("good/one"))
    assert (told["new versions"], told["new comments"], told["dagster/row_count"]) == (1, 1, 1)
    assert project.rows("SELECT night::VARCHAR, repo FROM issue_versions") == [(NIGHT.isoformat(), "good/one")]


def test_a_renamed_repository_is_planned_under_its_name_of_today(make_project: MakeProject, github: FakeGitHub) -> None:
    repo = github.repo("good/today")
    repo.former_names.append("good/former")
    repo.issue(1, "2026-11-20T10:00:00Z")
    project = make_project(github_api_url=github.url)
    project.add_repos("good/former")
    assert project.night().success
    assert project.cells("issues") == {cell("good/former"), cell("good/today")}
    project.go_on()
    assert project.rows("SELECT repo FROM issue_kind") == [("good/today",)]


def test_a_repository_from_files_is_counted_and_github_is_not_asked(
    make_project: MakeProject, github: FakeGitHub
) -> None:
    project = make_project(github_api_url=github.url)
    project.load_samples()
    assert project.night().success
    assert project.metadata("issues", cell(REPOS[0]))["dagster/row_count"] == 14
    assert github.seen == []


def test_a_cursor_that_cannot_be_read_is_begun_anew() -> None:
    assert CollectedCursor.read("{broken") == CollectedCursor.read(None) == CollectedCursor()
