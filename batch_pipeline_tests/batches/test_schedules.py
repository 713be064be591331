"""Schedules: placed once a day, when their hour has come, by whoever looks first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.schedules import add_schedule, due_schedules, place_due
from batch_pipeline.batches.standing.status import status, statuses
from batch_pipeline.errors import UsageError
from batch_pipeline.ledger import schedules
from batch_pipeline.ledger.schedules import Schedule
from batch_pipeline_tests.api.conftest import with_issues


@pytest.fixture
def loaded(pipeline: Pipeline, tmp_path: Path) -> Pipeline:
    return with_issues(pipeline, tmp_path / "issues")


def every(pipeline: Pipeline) -> list[Schedule]:
    with pipeline.ledger.read() as db:
        return schedules.every(db)


def tomorrow(hour: int, minute: int = 0) -> datetime:
    day = datetime.now(UTC) + timedelta(days=1)
    return day.replace(hour=hour, minute=minute)


def test_it_is_placed_once_when_its_hour_has_come(loaded: Pipeline) -> None:
    add_schedule(loaded, "issue-kind", 3, repo="acme/orbit", most_records=2, order="newest")
    assert place_due(loaded, tomorrow(2, 59)) == []
    assert len(place_due(loaded, tomorrow(3))) == 1
    assert place_due(loaded, tomorrow(4)) == []
    (now,) = every(loaded)
    assert now.last_job_id is not None
    assert status(loaded, now.last_job_id).records == 2
    assert len(place_due(loaded, tomorrow(3) + timedelta(days=1))) == 1
    assert [job.records for job in statuses(loaded)] == [2, 2]


def test_it_begins_tomorrow_where_its_hour_is_over_and_today_where_it_is_not(loaded: Pipeline) -> None:
    add_schedule(loaded, "issue_kind", 0)
    assert due_schedules(loaded) == []
    add_schedule(loaded, "issue_kind", 23)
    late = datetime.now(UTC).replace(hour=23, minute=59)
    assert [one.hour for one in due_schedules(loaded, late)] == ([] if datetime.now(UTC).hour == 23 else [23])


def test_two_who_place_it_at_once_make_one_job(loaded: Pipeline, make_pipeline: Callable[..., Pipeline]) -> None:
    made = add_schedule(loaded, "issue_kind", 3)
    place_due(loaded, tomorrow(3))
    with loaded.ledger.begin() as db:  # the other has read it before
        schedules.note(db, made.schedule_id, last_day=None)
    assert len(place_due(make_pipeline(), tomorrow(3))) == 1
    assert len(statuses(loaded)) == 1


def test_one_that_can_not_be_placed_says_why_and_the_others_are(loaded: Pipeline) -> None:
    add_schedule(loaded, "document_questions", 3, repo="acme/orbit")
    add_schedule(loaded, "issue_kind", 3)
    assert [one.task for one in place_due(loaded, tomorrow(3))] == ["issue_kind"]
    assert "can't be narrowed by repo" in (every(loaded)[0].error or "")


def test_nothing_is_due_where_the_pipeline_is_switched_off(
    loaded: Pipeline, make_pipeline: Callable[..., Pipeline]
) -> None:
    add_schedule(loaded, "issue_kind", 3)
    assert due_schedules(make_pipeline(enabled=False), tomorrow(3)) == []


@pytest.mark.parametrize("wrong", [{"repo": "orbit"}, {"order": "size"}, {"hour": 24}, {"task": "none"}])
def test_what_can_not_be_is_refused(pipeline: Pipeline, wrong: dict[str, str]) -> None:
    given: dict[str, object] = {"task": "issue_kind", "hour": 3, **wrong}
    with pytest.raises(UsageError):
        add_schedule(pipeline, **given)  # pyright: ignore[reportArgumentType] - wrong on purpose
    assert every(pipeline) == []
