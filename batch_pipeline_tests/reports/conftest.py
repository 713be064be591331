"""A pipeline in which something was done: what reports are made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.turn import place, wait_for
from batch_pipeline.sources.files import load_issues
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.project import NIGHT, REPOS, SAMPLES, cell

MakePipeline = Callable[..., Pipeline]


@pytest.fixture
def paid(make_pipeline: MakePipeline, books: Books, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Two tasks at a provider that costs money: one by hand, one for a night; one request fails."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    pipeline = make_pipeline(provider="openai", openai_base_url=books.url, missing_recheck_seconds=0.0)
    load_issues(pipeline.warehouse, [str(SAMPLES)], NIGHT)
    books.order({"kind": "rows", "status": 400, "code": "invalid_prompt", "custom_id": "*issue_902", "times": None})
    done(pipeline, "issue_kind")
    books.order()
    done(pipeline, "product_labeling", cell(REPOS[0]), Selection(repo=REPOS[0]))
    return pipeline


def done(pipeline: Pipeline, task: str, partition: str | None = None, selection: Selection | None = None) -> str:
    """A job, waited for."""
    order = Order(load_tasks().get(task), selection or Selection(), partition_key=partition)
    placed = place(pipeline, order)
    wait_for(pipeline, placed.job.job_id, 0.05)
    return placed.job.job_id
