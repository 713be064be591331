"""`adhoc_jobs`: collects and reports what was submitted outside Dagster, by the command, Python or REST."""

# no `from __future__ import annotations`: Dagster reads the annotations of a step, and can't read them as text

from collections.abc import Sequence
from typing import Any

import dagster as dg

from batch_pipeline.assets import keys, metadata
from batch_pipeline.assets.advance import advance
from batch_pipeline.assets.figures import JobFacts, facts_of_jobs
from batch_pipeline.assets.task_assets import JobsConfig
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.due import ASSET, due
from batch_pipeline.batches.submit_all import submit_all
from batch_pipeline.ledger import jobs
from batch_pipeline.ledger.jobs import Job

ADHOC_STEP = "adhoc_jobs"
"""The step, by which its configuration is found."""
SHOWN = 100
"""Jobs in the metadata, the newest."""


def is_adhoc(job: Job) -> bool:
    """Made by no asset."""
    return ASSET not in job.metadata


def build_adhoc_jobs() -> dg.AssetsDefinition:
    """The asset `adhoc_jobs`."""

    @dg.asset(
        key=keys.ADHOC_JOBS,
        group_name=keys.REPORTS_GROUP,
        owners=keys.OWNERS,
        kinds={"duckdb"},
        description="Jobs that were submitted outside Dagster: sent where their process has died, collected, and "
        "reported task by task. The monitor asks for it.",
    )
    def adhoc_jobs(
        context: dg.AssetExecutionContext, config: JobsConfig, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.MaterializeResult[Any]:
        roots = [job.job_id for job in due(pipeline).to_collect if _is_meant(job, config.jobs)]
        broken = advance(pipeline, roots, context.log.info).broken
        for root, error in broken.items():
            context.log.error("%s: %s", root, error, exc_info=error)
        _send(context, pipeline, config.jobs)
        return dg.MaterializeResult(metadata=metadata.of_jobs(_newest(pipeline)))

    return adhoc_jobs


def _is_meant(job: Job, named: Sequence[str]) -> bool:
    """Named jobs may be those of a partition that is gone."""
    return job.job_id in named if named else is_adhoc(job)


def _send(context: dg.AssetExecutionContext, pipeline: Pipeline, named: Sequence[str]) -> None:
    waiting = [job for job in due(pipeline).to_send if _is_meant(job, named)]
    for provider, error in submit_all(pipeline, waiting).stopped.items():
        context.log.error("%s: nothing can be sent: %s", provider, error)


def _newest(pipeline: Pipeline) -> list[JobFacts]:
    with pipeline.ledger.read() as db:
        newest = [job.job_id for job in jobs.newest(db) if is_adhoc(job)][:SHOWN]
    return facts_of_jobs(pipeline, newest)
