"""The upkeep of a warehouse on DuckLake, in Dagster: a job, and the schedule that starts it each night."""

# no `from __future__ import annotations`: Dagster reads the annotations of an op, and can't read text

import dagster as dg

from batch_pipeline.automation.jobs import BATCHES_SECONDS, MAX_RUNTIME
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.settings import Settings
from batch_pipeline.warehouse.upkeep import keep_up

NAME = "warehouse_upkeep"
HOURS_AFTER_THE_NIGHT = 4
"""By then what the night asked is mostly collected: its small files are there to be merged."""


@dg.op(description="Merges the lake's small files, forgets old states, and deletes files that are in none.")
def keep_up_warehouse(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
    """Under the lock of writers, so it may wait for a collection."""
    context.log.info("%s", keep_up(pipeline.warehouse))


@dg.job(  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
    name=NAME,
    description="Keeps a warehouse on DuckLake in order; `batch-pipeline prune` does the same by hand.",
    tags={MAX_RUNTIME: str(BATCHES_SECONDS)},
)
def warehouse_upkeep() -> None:
    """One step."""
    keep_up_warehouse()


def build_upkeep(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The schedule of that name, each night; none where the warehouse is a file."""
    if not settings.warehouse[0].startswith("ducklake:"):
        return []
    return [
        dg.ScheduleDefinition(
            name=NAME,
            job=warehouse_upkeep,
            cron_schedule=f"30 {(settings.night_hour + HOURS_AFTER_THE_NIGHT) % 24} * * *",
            execution_timezone=settings.timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="The upkeep of the warehouse on DuckLake.",
        )
    ]
