"""What is stale, orphaned, over its window, or about to go wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from batch_pipeline.batches.doctor import doctor
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.turn import submit_job
from batch_pipeline_tests.batches.chain import planned, run, write_notes
from batch_pipeline_tests.books import Books


def said(pipeline: Pipeline, level: str) -> str:
    return "\n".join(f"{finding.what}: {finding.says}" for finding in doctor(pipeline) if finding.level == level)


def test_a_healthy_pipeline_has_no_problem(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    run(pipeline, planned(pipeline))
    assert said(pipeline, "problem") == ""
    assert "local answers, and lists 1 batch of" in said(pipeline, "ok")


def test_a_provider_that_is_not_there_is_said_and_the_rest_is_looked_at(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline(local_url="http://127.0.0.1:9/v1")
    assert "The local server is not running" in said(pipeline, "problem")
    assert "its schema is up to date" in said(pipeline, "ok")


def test_a_batch_that_waits_or_is_lost_from_here_is_said(make_pipeline: Callable[..., Pipeline], books: Books) -> None:
    pipeline = make_pipeline(OPENAI_API_KEY="k", OPENAI_BASE_URL=books.url, provider="openai", budget_job_usd=0.0)
    write_notes(pipeline, 2)
    submit_job(pipeline, planned(pipeline).job_id)
    assert "waits: budget: this job may spend" in said(pipeline, "note")


def test_a_batch_at_the_provider_that_nothing_here_knows_is_said(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, 2)
    submit_job(pipeline, planned(pipeline).job_id)
    pipeline.close()
    for path in pipeline.data_dir.glob("ledger.db*"):
        path.unlink()
    shutil.rmtree(pipeline.settings.batches_dir)
    assert "that nothing here knows" in said(make_pipeline(), "problem")
