"""The checks of `<task>/results`: one verdict over the cells of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dagster as dg

from batch_pipeline.assets import keys
from batch_pipeline.assets.figures import CellFacts, JobFacts
from batch_pipeline.assets.metadata import usd
from batch_pipeline.batches.outcomes.judging import GOES_AGAIN
from batch_pipeline.tasks.task import BatchTask


def specs(task: BatchTask) -> list[dg.AssetCheckSpec]:
    """What is checked of a task's results; inside its step, so they cost no step of their own."""
    asset = keys.results_key(task.name)
    return [
        dg.AssetCheckSpec(
            keys.ACCOUNTED_FOR,
            asset=asset,
            description="Each record has one outcome: the sum over them is the number of records, in the ledger and, "
            "counted anew, in the rows of the warehouse.",
        ),
        dg.AssetCheckSpec(
            keys.SHARE_ANSWERED,
            asset=asset,
            description=f"At least {task.min_answered:.0%} of the records that are through have an answer.",
        ),
        dg.AssetCheckSpec(
            keys.WITHIN_ESTIMATE,
            asset=asset,
            description="No job cost more than the worst case that it was admitted with; shown beside the estimate.",
        ),
    ]


def evaluate(
    context: dg.AssetExecutionContext, task: BatchTask, found: Sequence[CellFacts]
) -> Iterator[dg.AssetCheckResult]:
    """Those checks that the run was asked for, over all of its cells."""
    jobs = [job for facts in found for job in facts.jobs]
    asset = keys.results_key(task.name)
    for name, evaluates in (
        (keys.ACCOUNTED_FOR, _accounted_for(jobs)),
        (keys.SHARE_ANSWERED, _share_answered(jobs, task)),
        (keys.WITHIN_ESTIMATE, _within_estimate(jobs)),
    ):
        if dg.AssetCheckKey(asset, name) in context.selected_asset_check_keys:
            yield evaluates._replace(asset_key=asset, check_name=name)


def _accounted_for(jobs: Sequence[JobFacts]) -> dg.AssetCheckResult:
    wrong = [job.now.job_id for job in jobs if not job.accounted_for]
    return dg.AssetCheckResult(
        passed=not wrong,
        metadata={
            "records": sum(job.now.records for job in jobs),
            "jobs": len(jobs),
            "jobs that don't add up": ", ".join(wrong) or "none",
        },
    )


def _share_answered(jobs: Sequence[JobFacts], task: BatchTask) -> dg.AssetCheckResult:
    """Records that are still on their way, or go again, count neither way."""
    answered = sum(job.now.answered for job in jobs)
    through = sum(_through(job) for job in jobs)
    share = answered / through if through else 1.0
    return dg.AssetCheckResult(
        passed=share >= task.min_answered,
        metadata={"answered": answered, "through": through, "share": round(share, 4), "wanted": task.min_answered},
    )


def _through(job: JobFacts) -> int:
    moving = () if job.final else ("pending", *GOES_AGAIN)
    return job.now.records - sum(job.now.outcomes.get(outcome, 0) for outcome in moving)


def _within_estimate(jobs: Sequence[JobFacts]) -> dg.AssetCheckResult:
    dear = [job.now.job_id for job in jobs if job.now.cost_usd > job.bound_usd]
    return dg.AssetCheckResult(
        passed=not dear,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "paid (USD)": usd(sum(job.now.cost_usd for job in jobs)),
            "estimate (USD)": usd(sum(job.now.estimated_cost_usd for job in jobs)),
            "worst case (USD)": usd(sum(job.bound_usd for job in jobs)),
            "jobs beyond it": ", ".join(dear) or "none",
        },
    )
