from __future__ import annotations

from pathlib import Path

import pytest

from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.repos import Repos
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.fake_github import fake_github


def test_issues_are_loaded_once_and_their_repository_is_known(
    offline: Command, issue_files: Path, tmp_path: Path
) -> None:
    assert offline("issues", "load", issue_files, "--night", "2026-11-20", "--json").json["added"] == 3
    again = offline("issues", "load", issue_files / "*.json")
    assert again.out.startswith("0 issue versions added from 3 files, 3 known already.")
    status = offline("issues", "status", "--json").json
    assert [(one["repo"], one["issues"], one["newest_night"]) for one in status] == [("acme/orbit", 3, "2026-11-20")]
    assert "acme/orbit" in offline("issues", "status").out
    ledger = Ledger(f"sqlite:///{tmp_path / 'data' / 'ledger.db'}")
    assert [(repo.name, repo.source) for repo in Repos(ledger).all()] == [("acme/orbit", "files")]
    ledger.close()


def test_an_empty_warehouse_says_how_to_fill_it(offline: Command) -> None:
    assert "issues load" in offline("issues", "status").out


def test_a_night_must_be_a_date(offline: Command, issue_files: Path) -> None:
    assert offline("issues", "load", issue_files, "--night", "yesterday").code == 2


def test_issues_are_pulled_from_github(offline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_github() as github:
        github.repo("acme/orbit").issue(7, "2026-11-20T10:00:00Z")
        monkeypatch.setenv("GITHUB_API_URL", github.url)
        ran = offline("issues", "pull", "acme/orbit", "--since", "2026-11-01")
        assert ran.code == 0
        assert ran.out.startswith("acme/orbit: 1 issue version and 0 comments added")
        unknown = offline("issues", "pull", "acme/nothing", "acme/orbit", "--json")
        assert unknown.code == 1
        assert [one["repo"] for one in unknown.json] == ["acme/orbit"]
        assert "acme/nothing" in unknown.sentence
