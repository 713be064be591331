"""What somebody scheduled over REST, in Dagster: a schedule that looks, and a job that places what is due."""

# no `from __future__ import annotations`: Dagster reads the annotations of a schedule and an op, and can't read text

from datetime import datetime

import dagster as dg

from batch_pipeline.automation.jobs import BATCHES_SECONDS, MAX_RUNTIME
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.schedules import due_schedules, place_due
from batch_pipeline.settings import Settings

NAME = "scheduled_orders"


class Hour(dg.Config):
    """For when a run places what is due: a run that comes late must not take the next day for it."""

    at: str | None = None
    """ISO 8601; now where there is none."""


@dg.op(description="Plans and sends what the schedules in the ledger ask for at this hour.")
def place_scheduled(context: dg.OpExecutionContext, config: Hour, pipeline: dg.ResourceParam[Pipeline]) -> None:
    """Places what is due; one that can't be is told, and tried again an hour later."""
    at = datetime.fromisoformat(config.at) if config.at else None
    for one in place_due(pipeline, at):
        context.log.info("%s: placed", one.schedule_id)
    if left := due_schedules(pipeline, at):
        raise dg.Failure(f"Not placed: {', '.join(one.schedule_id for one in left)}; GET /api/batch/schedule says why.")


@dg.job(  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
    name=NAME,
    description="Jobs that somebody scheduled over REST (`POST /api/batch/schedule`); `adhoc_jobs` collects them.",
    tags={MAX_RUNTIME: str(BATCHES_SECONDS)},
)
def scheduled_orders() -> None:
    """One step."""
    place_scheduled()


def build_scheduled(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule of that name: each hour, where something is due."""

    @dg.schedule(  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
        name=NAME,
        job=scheduled_orders,
        cron_schedule="0 * * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Looks each hour whether a schedule that was made over REST is due.",
    )
    def look(
        context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.RunRequest | dg.SkipReason:
        at = context.scheduled_execution_time
        if not pipeline.settings.enabled:
            return dg.SkipReason("BATCH_PIPELINE_ENABLED is false: nothing is planned or sent.")
        due = due_schedules(pipeline, at)
        if not due:
            return dg.SkipReason("No schedule is due at this hour.")
        hour = dg.RunConfig({place_scheduled.name: Hour(at=at.isoformat())})
        return dg.RunRequest(run_key=f"{at:%Y-%m-%dT%H}", run_config=hour)

    return look
