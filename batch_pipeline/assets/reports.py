"""`batch_jobs`, `spend` and `operations`: what the pipeline did, what it cost, and how it runs."""

# no `from __future__ import annotations`: Dagster reads the annotations of a step, and can't read them as text

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from batch_pipeline.assets import keys
from batch_pipeline.assets.metadata import bars, picture, table, usd
from batch_pipeline.assets.reporting import Metadata
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.reports.words import in_usd

if TYPE_CHECKING:
    from batch_pipeline.batches.standing.status import JobStatus
    from batch_pipeline.reports.operations import Operations
    from batch_pipeline.reports.spend import By, Spent

NEWEST = 20
DAYS = 14
LONGEST = 10
"""Rows of the tables of repositories and codes."""


def build_reports(deps: Iterable[dg.AssetKey]) -> list[dg.AssetsDefinition]:
    """The assets `batch_jobs`, `spend` and `operations`.

    Args:
        deps: What they report on.
    """
    return [
        _report(
            keys.BATCH_JOBS,
            list(deps),
            {"duckdb", "table"},
            "The tables `batch_jobs` and `batches`: what the ledger knows of each job, to be queried beside the "
            "answers, and a picture of what became of the newest jobs' records. Written anew after collections.",
            _of_jobs,
        ),
        _report(
            keys.SPEND,
            [keys.BATCH_JOBS],
            {"duckdb", "matplotlib"},
            "What was estimated, paid and saved, by day, task, model and repository, with a picture of the last "
            "thirty days. What ran on this machine was free, and is shown at the price of `PRICE_AS`. "
            "`batch-pipeline cost --by task` says the same.",
            _of_spend,
        ),
        _report(
            keys.OPERATIONS,
            [keys.BATCH_JOBS],
            {"duckdb", "matplotlib"},
            "How the batches fare: how long they take at the providers, over time; how their requests ended, by code; "
            "and what is on its way now. `batch-pipeline report --html FILE` writes all reports into one page.",
            _of_operations,
        ),
    ]


def _report(
    key: dg.AssetKey,
    deps: Sequence[dg.AssetKey],
    kinds: set[str],
    description: str,
    told: Callable[[Pipeline], Metadata],
) -> dg.AssetsDefinition:
    @dg.asset(
        key=key,
        deps=deps,
        group_name=keys.REPORTS_GROUP,
        owners=keys.OWNERS,
        kinds=kinds,
        description=description,
    )
    def report(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(metadata=told(pipeline))

    return report


def _of_jobs(pipeline: Pipeline) -> Metadata:
    from batch_pipeline.batches.standing.report import refresh_reports
    from batch_pipeline.batches.standing.status import FINAL, statuses
    from batch_pipeline.reports.jobs import plot_jobs

    refresh_reports(pipeline)
    found = statuses(pipeline)
    columns = ["job", "state", "answered", "paid (USD)"]
    return {
        "dagster/row_count": len(found),
        "plot": picture(plot_jobs(found), "records of the newest jobs"),
        "newest jobs": table(columns, [_job(job) for job in found[:NEWEST]]),
        "jobs open": sum(job.state not in FINAL for job in found),
        "jobs held": sum(job.state == "held" for job in found),
        "jobs failed": sum(job.state == "failed" for job in found),
        "batches": sum(len(job.batches) for job in found),
        "records": sum(job.records for job in found),
        "answered": sum(job.answered for job in found),
    }


def _job(job: "JobStatus") -> tuple[object, ...]:
    return job.job_id, job.state.replace("_", " "), f"{job.answered} of {job.records}", usd(job.cost_usd)


def _of_spend(pipeline: Pipeline) -> Metadata:
    from batch_pipeline.reports.plots import plot_spend
    from batch_pipeline.reports.spend import per_record, spending, today, total, yearly

    spent, day = spending(pipeline), today(pipeline)
    modes, year = total(spent), yearly(spent, day)
    plot = plot_spend(spent, day, pipeline.settings.price_as)
    return {
        "plot": picture(plot, "what was spent, by day and task, and in each mode"),
        "batch price by day": _days(spent),
        "by day": _table("day", spent, newest=DAYS),
        "by task": _table("task", spent),
        "by model": _table("model", spent),
        "by repository": _table("repo", spent, dearest=LONGEST),
        "paid (USD)": usd(modes.paid_usd),
        "estimate (USD)": usd(sum(each.estimate_usd for each in spent)),
        "realtime price (USD)": usd(modes.realtime_usd),
        "flex price (USD)": usd(modes.flex_usd),
        "batch price (USD)": usd(modes.batch_usd),
        "saved (USD)": usd(modes.saved_usd),
        "a record (USD)": usd(per_record(spent)),
        "saved in a year (USD)": usd(year.year_usd),
        "how": f"saved in the last {'day' if year.days == 1 else f'{year.days} days'}, by the day, times 365",
        "answered": modes.records,
        "input tokens": sum(each.input_tokens for each in spent),
        "output tokens": sum(each.output_tokens for each in spent),
    }


def _days(spent: Sequence["Spent"]) -> dg.MetadataValue[Any]:
    """The newest days, each with a bar: what was paid, or would have been for what was free."""
    from batch_pipeline.reports.spend import grouped

    days = list(grouped(spent, "day").items())[::-1][:DAYS]
    return bars(["day", "USD"], [(names[0], in_usd(each.price_usd)) for names, each in days], 1)


def _table(
    by: "By", spent: Sequence["Spent"], *, newest: int | None = None, dearest: int | None = None
) -> dg.MetadataValue[Any]:
    from batch_pipeline.reports.spend import grouped

    found = list(grouped(spent, by).items())
    if newest is not None:
        found = found[::-1][:newest]
    if dearest is not None:
        found = sorted(found, key=lambda item: -item[1].modes.realtime_usd)[:dearest]
    if by == "repo":
        rows = [(names[0], each.modes.records, *_usd(each)) for names, each in found]
        return table(["repository", "answered", "paid", "realtime", "saved"], rows)
    rows = [(names[0], each.modes.records, in_usd(each.estimate_usd), *_usd(each)) for names, each in found]
    return table([by, "answered", "estimate", "paid", "realtime", "saved"], rows)


def _usd(each: "Spent") -> list[str]:
    """Few columns, of few digits: the UI cuts off what is wide."""
    modes = each.modes
    return [in_usd(amount) for amount in (modes.paid_usd, modes.realtime_usd, modes.saved_usd)]


def _of_operations(pipeline: Pipeline) -> Metadata:
    from batch_pipeline.reports.operations import operations, share_of
    from batch_pipeline.reports.plots import plot_operations

    found = operations(pipeline)
    ended = sum(each.requests for each in found.ended)
    answered = sum(each.requests for each in found.ended if each.outcome == "answered")
    return {
        "plot": picture(plot_operations(found), "times of batches, requests in flight, outcomes"),
        "times by day": _times(found),
        "how requests ended": bars(
            ["outcome", "code", "requests"],
            [(each.outcome, each.code, each.requests) for each in found.ended[:LONGEST]],
            2,
        ),
        "on their way": _queue(found),
        "batches in flight": len(found.in_flight),
        "requests in flight": sum(run.requests for run in found.in_flight),
        "oldest in flight (s)": round(found.oldest_seconds, 1),
        "jobs open": len(found.queue),
        "batches ended": len(found.seconds),
        "median time (s)": round(share_of(found.seconds, 50), 1),
        "95 % within (s)": round(share_of(found.seconds, 95), 1),
        "share answered": round(answered / ended, 4) if ended else 1.0,
    }


def _times(found: "Operations") -> dg.MetadataValue[Any]:
    columns = ["day", "model", "batches", "requests", "median (s)", "95 % within (s)", "until collected (s)"]
    rows = [
        (
            *(each.day, each.model, each.batches, each.requests),
            *(f"{seconds:,.0f}" for seconds in (each.median_seconds, each.p95_seconds, each.collect_seconds)),
        )
        for each in found.days[:DAYS]
    ]
    return table(columns, rows)


def _queue(found: "Operations") -> dg.MetadataValue[Any]:
    columns = ["job", "state", "completed", "oldest (s)", "waits for"]
    rows = [
        (
            *(each.job_id, each.state.replace("_", " "), f"{each.completed} of {each.total}"),
            *("-" if each.oldest_seconds is None else f"{each.oldest_seconds:,.0f}", each.waits_for or "-"),
        )
        for each in found.queue
    ]
    return table(columns, rows)
