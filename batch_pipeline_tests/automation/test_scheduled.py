"""Schedules that were made over REST, as Dagster places them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from batch_pipeline.automation.scheduled import build_scheduled, scheduled_orders
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.schedules import add_schedule
from batch_pipeline.batches.standing.status import statuses
from batch_pipeline.definitions import build_definitions
from batch_pipeline.ledger import schedules
from batch_pipeline_tests.api.conftest import with_issues
from batch_pipeline_tests.project import ephemeral


@pytest.fixture
def loaded(pipeline: Pipeline, tmp_path: Path) -> Pipeline:
    return with_issues(pipeline, tmp_path / "issues")


def tick(pipeline: Pipeline, at: datetime) -> dg.RunRequest | dg.SkipReason:
    schedule = build_scheduled(pipeline.settings)
    with ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=at, resources={"pipeline": pipeline}
        )
        with context:
            told = schedule.evaluate_tick(context)
    return told.run_requests[0] if told.run_requests else dg.SkipReason(told.skip_message)


def test_it_asks_for_a_run_at_the_hour_and_not_before(loaded: Pipeline) -> None:
    add_schedule(loaded, "issue_kind", 3)
    day = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert isinstance(tick(loaded, day.replace(hour=2)), dg.SkipReason)
    asked = tick(loaded, day.replace(hour=3))
    assert isinstance(asked, dg.RunRequest)
    assert asked.run_key == f"{day:%Y-%m-%d}T03"


def test_the_run_places_what_is_due_once_however_late_it_comes(loaded: Pipeline) -> None:
    made = add_schedule(loaded, "issue_kind", 23, most_records=2)
    asked = tick(loaded, (datetime.now(UTC) + timedelta(days=1)).replace(hour=23, minute=0))
    assert isinstance(asked, dg.RunRequest)
    for _ in range(2):
        with ephemeral() as instance:
            ran = scheduled_orders.execute_in_process(
                run_config=asked.run_config, instance=instance, resources={"pipeline": loaded}
            )
            assert ran.success
    (job,) = statuses(loaded)
    assert job.records == 2
    with loaded.ledger.read() as db:
        assert [one.last_job_id for one in schedules.every(db)] == [job.job_id], made


def test_it_is_among_the_definitions() -> None:
    assert build_definitions().resolve_schedule_def("scheduled_orders").cron_schedule == "0 * * * *"
