"""Jobs of Python, as the command and Dagster see them."""

from __future__ import annotations

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.history import history
from batch_pipeline.cli import main
from batch_pipeline_tests.notebook.conftest import MakeBatch
from batch_pipeline_tests.project import Project


def test_the_command_lists_and_tells_them(
    make_batch: MakeBatch, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_DATA_DIR", str(pipeline.data_dir))
    monkeypatch.setenv("BATCH_PIPELINE_LOCAL_URL", pipeline.settings.local_url)
    (job,) = make_batch().submit(wait=True).jobs
    assert main(["list"]) == 0
    assert main(["details", job]) == 0
    assert main(["reprocess", "issue-kind", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.count(job) >= 2
    (chapter,) = history(pipeline, 10)
    assert chapter.started_by.endswith("in Python")


def test_dagster_collects_and_reports_them(make_batch: MakeBatch, pipeline: Pipeline) -> None:
    run = make_batch().submit()
    project = Project(pipeline)
    try:
        project.go_on(["batch_monitor"])
        assert run.is_success
        project.materialize("adhoc_jobs")
        assert "notes" in str(project.metadata("adhoc_jobs"))
    finally:
        project.close()
