from __future__ import annotations

import dagster as dg

from batch_pipeline.assets.keys import REPROCESS_FAILED
from batch_pipeline.automation.run_requests import over_cells
from batch_pipeline.definitions import build_definitions
from batch_pipeline.ledger import jobs
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.project import Project


def launched(project: Project, **config: str) -> dg.ExecuteInProcessResult:
    """The asset, materialized as a person does with this configuration."""
    run_config = {"ops": {"reprocess_failed": {"config": config}}}
    return project.run(over_cells(None, [REPROCESS_FAILED], run_key=None, config=run_config))


def test_what_failed_is_shown_without_a_task_and_asked_anew_with_one(project: Project, books: Books) -> None:
    books.order({"kind": "rows", "status": 400, "code": "too_odd", "every": 7, "times": None})
    project.night()
    project.go_on()
    books.order()
    assert launched(project).success
    shown = project.metadata("reprocess_failed")
    assert (shown["records"], shown["sent"]) == (8, 0)
    assert "| issue_kind | too_odd | failed | 4 |" in str(shown["failed"])
    assert launched(project, task="issue_kind", code="too_odd", since="2020-01-01").success
    asked = project.metadata("reprocess_failed")
    assert (asked["records"], asked["sent"]) == (4, 4)
    with project.pipeline.ledger.read() as db:
        (job,) = [each for each in jobs.newest(db) if each.job_type == "reprocess"]
    assert job.job_id == asked["jobs"]
    assert str(job.metadata["reprocesses"]).count("issue_kind-") == 2
    project.go_on()
    assert project.rows("SELECT count(DISTINCT record_id) FROM issue_kind") == [(30,)]
    assert not launched(project, task="nothing").success
    assert not launched(project, task="issue_kind", since="lately").success


def test_the_project_has_a_job_for_it() -> None:
    assert build_definitions().resolve_job_def("reprocess").description
