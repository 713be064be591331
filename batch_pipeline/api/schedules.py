"""`/api/batch/schedule`: what is asked for at an hour of each day."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from batch_pipeline.api.models import NewSchedule, Schedules, ScheduleShown
from batch_pipeline.api.problems import Refused
from batch_pipeline.api.service import Service
from batch_pipeline.batches.schedules import add_schedule
from batch_pipeline.ledger import schedules
from batch_pipeline.ledger.schedules import Schedule

ScheduleId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,200}$")]


def routes(service: Service) -> APIRouter:
    """The routes of one server; they come before those of jobs, whose ids stand at the same place."""
    router = APIRouter(prefix="/api/batch/schedule", tags=["schedule"])
    pipeline = service.pipeline

    @router.post("", status_code=201)
    def create_schedule(asked: NewSchedule) -> ScheduleShown:
        """Ask for records of a task at an hour of each day; the first time when that hour comes next."""
        made = add_schedule(
            pipeline,
            asked.task,
            asked.hour,
            repo=asked.repository,
            most_records=asked.most_records,
            order=asked.order,
        )
        return _shown(made)

    @router.get("")
    def list_schedules() -> Schedules:
        """List the schedules, and what came of each last."""
        with pipeline.ledger.read() as db:
            return Schedules(schedules=[_shown(one) for one in schedules.every(db)])

    @router.delete("/{schedule_id}", status_code=204)
    def delete_schedule(schedule_id: ScheduleId) -> None:
        """Remove a schedule; jobs that it made go on."""
        with pipeline.ledger.begin() as db:
            if not schedules.remove(db, schedule_id):
                raise Refused(404, "unknown-schedule", f"There is no schedule `{schedule_id}`.")

    return router


def _shown(one: Schedule) -> ScheduleShown:
    return ScheduleShown(
        schedule_id=one.schedule_id,
        task=one.task,
        repository=one.repo,
        hour=one.hour,
        most_records=one.most_records,
        order=None if one.order is None else ",".join(one.order),
        created_at=one.created_at,
        last_day=one.last_day,
        last_job_id=one.last_job_id,
        error=one.error,
    )
