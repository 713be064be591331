"""`reprocess_failed`: failed records of earlier jobs, asked anew."""

# no `from __future__ import annotations`: Dagster reads the annotations of a step, and can't read them as text

from collections import Counter
from collections.abc import Iterable
from typing import Any

import dagster as dg
from pydantic import Field

from batch_pipeline.assets import keys
from batch_pipeline.assets.cells import root_run_id
from batch_pipeline.assets.metadata import table
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.reprocess import Wanted, again, failed, reprocess
from batch_pipeline.batches.standing.days import day_start
from batch_pipeline.errors import UnknownTask
from batch_pipeline.tasks.task import BatchTask


class ReprocessConfig(dg.Config):
    """Which failed records are asked anew; without a task none are, and what failed is shown."""

    task: str = Field(default="", description="The task's name; none: show what failed, and send nothing.")
    code: str = Field(default="", description="With this error code or outcome only, such as refused.")
    since: str = Field(default="", description="That failed on this day (UTC) or later, such as 2026-11-20.")
    job: str = Field(default="", description="That failed in this job.")


def build_reprocess_failed(tasks: Iterable[BatchTask]) -> dg.AssetsDefinition:
    """The asset `reprocess_failed`, for these tasks."""
    by_name = {task.name: task for task in tasks}

    @dg.asset(
        key=keys.REPROCESS_FAILED,
        group_name=keys.REPORTS_GROUP,
        owners=keys.OWNERS,
        kinds={"python", "json"},
        description="Records whose newest result is no answer, over all jobs, by task and code. Launched with a task "
        "in its configuration, it asks them anew: a job of its own, which the monitor sends on and collects.",
    )
    def reprocess_failed(
        context: dg.AssetExecutionContext, config: ReprocessConfig, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.MaterializeResult[Any]:
        wanted = Wanted(config.task or None, config.code or None, day_start(config.since or None), config.job or None)
        if wanted.task is not None and wanted.task not in by_name:
            raise UnknownTask(f"There is no task `{wanted.task}`. The tasks are: {', '.join(by_name)}.")
        found = failed(pipeline, wanted)
        counted = Counter((each.task, each.code, each.outcome) for each in found)
        shown = table(["task", "code", "outcome", "records"], [(*key, n) for key, n in counted.most_common()])
        if wanted.task is None:
            return dg.MaterializeResult(metadata={"failed": shown, "records": len(found), "sent": 0})
        made_by = {"origin": "dagster", "run_id": context.run.run_id}
        task = by_name[wanted.task]
        template = Order(task, key=root_run_id(context), metadata=made_by)
        placed = [reprocess(pipeline, one) for one in again(task, wanted, found, template)]
        for each in placed:
            context.log.info("%s: %d records asked anew", each.job.job_id, each.job.records)
        return dg.MaterializeResult(
            metadata={
                "failed": shown,
                "records": len(found),
                "sent": sum(each.job.records for each in placed),
                "jobs": ", ".join(each.job.job_id for each in placed if each.job.records) or "none",
                "waits for": "; ".join(why for each in placed for why in each.sent.not_yet.values()) or "nothing",
            }
        )

    return reprocess_failed
