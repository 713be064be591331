"""The reports in the UI: tables short enough to be shown, and a picture each."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable

import dagster as dg
import pytest

from batch_pipeline.assets.metadata import SHOWN
from batch_pipeline_tests.project import REPOS, Project

MakeProject = Callable[..., Project]
REPORTS = ("batch_jobs", "spend", "operations")


@pytest.fixture
def reported(project: Project) -> Project:
    """A night, through; its reports follow from the monitor's ticks."""
    project.night()
    project.go_on()
    return project


def test_reports_follow_collections_and_tell_the_same_as_the_tables(reported: Project) -> None:
    jobs, spend, operations = (reported.metadata(name) for name in REPORTS)
    assert (jobs["dagster/row_count"], jobs["records"], jobs["answered"], jobs["jobs open"]) == (4, 60, 60, 0)
    assert (spend["answered"], spend["paid (USD)"]) == (60, 0)
    assert spend["saved (USD)"] == pytest.approx(_float(spend["realtime price (USD)"]) / 2)
    assert spend["saved in a year (USD)"] == pytest.approx(_float(spend["saved (USD)"]) * 365, rel=1e-4)
    assert str(spend["by task"]).count("\n") == 3
    assert all(repo in str(spend["by repository"]) for repo in REPOS)
    assert (operations["batches ended"], operations["share answered"], operations["jobs open"]) == (4, 1.0, 0)
    assert reported.rows("SELECT count(*) FROM batch_jobs") == [(4,)]


def test_each_has_a_picture_and_tables_that_are_shown_at_once(reported: Project) -> None:
    for name in REPORTS:
        told = reported.metadata(name)
        start, _, picture = str(told["plot"]).partition("base64,")
        assert start.startswith("![")
        assert b64decode(picture.rstrip(")")).startswith(b"\x89PNG")
        tables = [text for key, text in told.items() if isinstance(text, str) and key != "plot"]
        assert all(len(text) <= SHOWN + 50 for text in tables)


def test_reports_of_nothing_are_reports(make_project: MakeProject) -> None:
    project = make_project()
    assert project.materialize(*REPORTS).success
    assert project.metadata("spend")["paid (USD)"] == 0
    assert project.metadata("batch_jobs")["newest jobs"] == "*none*"
    assert project.metadata("operations")["batches in flight"] == 0


def test_every_asset_says_in_words_what_it_is(project: Project) -> None:
    """The graph must explain itself: whoever sees it for the first time reads these."""
    for definition in project.definitions.assets or []:
        assert isinstance(definition, dg.AssetsDefinition)
        for key, spec in definition.specs_by_key.items():
            assert len(spec.description or "") > 80, key
            assert spec.owners, key
            assert spec.kinds, key


def _float(value: object) -> float:
    assert isinstance(value, (int, float))
    return float(value)
