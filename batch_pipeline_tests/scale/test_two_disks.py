"""Two hosts with one ledger and a disk each: locks on files tell neither of what the other does."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from batch_pipeline.batches import points
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import abandon_dead_plans
from batch_pipeline.ledger import jobs
from batch_pipeline_tests.batches.chain import planned, write_notes
from batch_pipeline_tests.scale.postgres import PostgresServer

pytestmark = pytest.mark.scale


@pytest.fixture(autouse=True)
def _no_hook() -> Generator[None]:
    yield
    points.hook = None


def test_a_plan_that_another_host_is_at_is_not_taken_for_a_dead_one(
    make_pipeline: Callable[..., Pipeline], postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.new_database()
    here, there = (make_pipeline(data_dir=tmp_path / name, ledger_url=url) for name in ("here", "there"))
    write_notes(here, 3)
    looked: list[str] = []

    def look(point: str) -> None:
        if point == "plan.inflight_taken" and not looked:
            looked.append(point)
            abandon_dead_plans(there)

    points.hook = look
    job = planned(here)
    assert looked
    with there.ledger.read() as db:
        assert jobs.get(db, job.job_id).records == 3
    postgres.drop(url)
