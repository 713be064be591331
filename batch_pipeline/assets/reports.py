"""`batch_jobs` and `spend`: what the pipeline did, and what it cost."""

# no `from __future__ import annotations`: Dagster reads the annotations of a step, and can't read them as text

from collections.abc import Iterable
from typing import Any

import dagster as dg

from batch_pipeline.assets import keys
from batch_pipeline.assets.metadata import markdown
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.report import refresh_reports

NEWEST = 20
DAYS = 14


def build_reports(deps: Iterable[dg.AssetKey]) -> list[dg.AssetsDefinition]:
    """The assets `batch_jobs` and `spend`.

    Args:
        deps: What they report on.
    """

    @dg.asset(
        key=keys.BATCH_JOBS,
        deps=list(deps),
        group_name=keys.REPORTS_GROUP,
        owners=keys.OWNERS,
        kinds={"duckdb", "table"},
        description="The tables `batch_jobs` and `batches`: what the ledger knows of each job, to be queried beside "
        "the answers. Written anew after collections.",
    )
    def batch_jobs(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[Any]:
        refresh_reports(pipeline)
        with pipeline.warehouse.read() as connection:
            counted = connection.execute(_TOTALS)
            totals = dict(zip([column[0] for column in counted.description or ()], counted.fetchall()[0], strict=True))
            newest = connection.execute(_NEWEST, [NEWEST]).df()
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": totals["jobs"],
                "newest jobs": markdown(newest),
                **totals,
            }
        )

    @dg.asset(
        key=keys.SPEND,
        deps=[keys.BATCH_JOBS],
        group_name=keys.REPORTS_GROUP,
        owners=keys.OWNERS,
        kinds={"duckdb"},
        description="What was paid, by task and by day (UTC); plots of it grow with each materialization.",
    )
    def spend(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[Any]:
        with pipeline.warehouse.read() as connection:
            paid, input_tokens, output_tokens = connection.execute(_SPENT).fetchone() or (0.0, 0, 0)
            by_task = connection.execute(_BY_TASK).df()
            by_day = connection.execute(_BY_DAY, [DAYS]).df()
        return dg.MaterializeResult(
            metadata={
                "paid (USD)": paid,
                "input tokens": input_tokens,
                "output tokens": output_tokens,
                "by task": markdown(by_task),
                "by day": markdown(by_day),
            }
        )

    return [batch_jobs, spend]


_TOTALS = """
SELECT
    count(*) AS jobs,
    count(*) FILTER (status NOT IN ('done', 'failed', 'cancelled')) AS "jobs open",
    count(*) FILTER (status = 'held') AS "jobs held",
    count(*) FILTER (status = 'failed') AS "jobs failed",
    (SELECT count(*) FROM batches) AS batches,
    coalesce(sum(records), 0)::BIGINT AS records,
    coalesce(sum(completed_count), 0)::BIGINT AS answered
FROM batch_jobs
"""

_NEWEST = """
SELECT
    job_id AS job,
    coalesce(partition_key, '-') AS partition,
    status,
    completed_count || ' of ' || records AS answered,
    round(cost_usd, 6) AS "paid (USD)"
FROM batch_jobs
ORDER BY created_at DESC
LIMIT ?
"""

_SPENT = """
SELECT coalesce(sum(cost_usd), 0), coalesce(sum(input_tokens), 0)::BIGINT, coalesce(sum(output_tokens), 0)::BIGINT
FROM batch_results
"""

_BY_TASK = """
SELECT task, count(*) AS requests, sum(input_tokens)::BIGINT AS "input tokens",
    sum(output_tokens)::BIGINT AS "output tokens", sum(cost_usd) AS paid
FROM batch_results
GROUP BY task
ORDER BY task
"""

_BY_DAY = """
SELECT strftime(answered_at, '%Y-%m-%d') AS day, task, count(*) AS requests, sum(cost_usd) AS paid
FROM batch_results
GROUP BY ALL
ORDER BY day DESC, task
LIMIT ?
"""
