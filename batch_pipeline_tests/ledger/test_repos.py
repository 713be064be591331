from __future__ import annotations

from collections.abc import Generator

import pytest

from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.repos import Repo, Repos


@pytest.fixture
def repos(ledger_url: str) -> Generator[Repos]:
    ledger = Ledger(ledger_url)
    yield Repos(ledger)
    ledger.close()


def names(repos: Repos) -> list[str]:
    return [repo.name for repo in repos.all()]


def test_a_repository_comes_back_as_it_was_saved(repos: Repos) -> None:
    saved = Repo("a/b", 7, "github", "2026-11-20T00:00:00Z", None, {"url": 'W/"1"'}, ("a/old",), 3.5, "not there")
    repos.save(saved)
    assert repos.get("a/b") == saved
    assert repos.get("a/nowhere") is None


def test_saving_again_takes_the_place_of_what_was_there(repos: Repos) -> None:
    repos.save(Repo("a/b", issues_since="1"))
    repos.save(Repo("a/b", issues_since="2"))
    assert [repo.issues_since for repo in repos.all()] == ["2"]


def test_repositories_come_in_the_order_in_which_they_were_added(repos: Repos) -> None:
    for name, at in (("z/z", 1.0), ("a/a", 3.0), ("b/b", 2.0)):
        repos.save(Repo(name, added_at=at))
    assert names(repos) == ["z/z", "b/b", "a/a"]


@pytest.mark.parametrize("known_id", [7, None])
def test_a_renamed_repository_takes_the_place_of_its_earlier_name(repos: Repos, known_id: int | None) -> None:
    repos.save(Repo("a/old", known_id))
    repos.save(Repo("a/new", 7, previous_names=("a/old",)))
    assert names(repos) == ["a/new"]
    found = repos.get("a/old")
    assert found is not None
    assert found.name == "a/new"


def test_a_new_repository_under_a_name_that_another_gave_up_is_its_own(repos: Repos) -> None:
    repos.save(Repo("a/new", 7, previous_names=("a/old",), added_at=1.0))
    repos.save(Repo("a/old", 8, added_at=2.0))
    repos.save(Repo("a/new", 7, previous_names=("a/old",), added_at=1.0, issues_since="1"))
    assert names(repos) == ["a/new", "a/old"]
    found = repos.get("a/old")
    assert found is not None
    assert found.github_id == 8
