"""Reports: the ledger's jobs and batches as tables of the warehouse, and what a job costs in each mode."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from batch_pipeline.batches.money.estimates import Comparison
from batch_pipeline.batches.money.prices import Price
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import FINAL, BatchStatus, JobStatus, statuses
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.jobs import META, Job
from batch_pipeline.ledger.rows import row_of
from batch_pipeline.ledger.tables import batches, jobs
from batch_pipeline.settings import ProviderName
from batch_pipeline.warehouse.figures import Figures, Tokens
from batch_pipeline.warehouse.reports import replace_reports

Row = dict[str, object]


def refresh_reports(pipeline: Pipeline) -> None:
    """Writes the tables `batch_jobs` and `batches` anew from the ledger, in one transaction.

    Raises:
        WarehouseBusy: Another process holds the warehouse for longer than we wait.
    """
    standing = {job.job_id: job for job in statuses(pipeline)}
    kept = _kept(pipeline)
    job_rows = [_job_row(standing[root], chain) for root, chain in kept.items() if root in standing]
    batch_rows = [row for root, chain in kept.items() if root in standing for row in _batch_rows(standing[root], chain)]
    with pipeline.warehouse.write() as connection:
        replace_reports(connection, job_rows, batch_rows)


def comparison(pipeline: Pipeline, job: JobStatus, found: Figures) -> Comparison:
    """What a job with its attempts cost, and would have cost in each mode.

    Args:
        pipeline: The pipeline.
        job: Where it stands.
        found: Its figures in the warehouse, split at `price_threshold`.
    """
    tariff = pipeline.prices.tariff(job.provider, job.model)
    batch, realtime, flex = (_usd(price, found.tokens) for price in (tariff.batch, tariff.realtime, tariff.flex))
    return Comparison(job.answered, job.cost_usd, batch, realtime, flex)


def price_threshold(pipeline: Pipeline, provider: ProviderName, model: str) -> int | None:
    """Input tokens of one request above which its price is another one."""
    return pipeline.prices.tariff(provider, model).batch.threshold


def _usd(price: Price, tokens: Iterable[Tokens]) -> float:
    return sum(usd_of_sums(price, counts) for counts in tokens)


def usd_of_sums(price: Price, tokens: Tokens) -> float:
    """What sums of tokens cost in USD; they can be priced together, being on the same side of the threshold."""
    rates = price.long_context if tokens.long and price.long_context is not None else price.base
    plain = max(0, tokens.input_tokens - tokens.cached_tokens - tokens.cache_write_tokens)
    return (
        plain * rates.input
        + tokens.cached_tokens * rates.cached_input
        + tokens.cache_write_tokens * rates.cache_write
        + tokens.output_tokens * rates.output
    )


@dataclass(frozen=True)
class _Kept:
    """A job or an attempt, as the ledger has it."""

    job: Job
    batches: Sequence[Batch]


def _kept(pipeline: Pipeline) -> dict[str, list[_Kept]]:
    """Everything that the ledger has, by job, attempts in order."""
    of_job: dict[str, list[Batch]] = {}
    kept: dict[str, list[_Kept]] = {}
    with pipeline.ledger.read() as db:
        for row in db.execute(select(batches).order_by(batches.c.job_id, batches.c.number)).mappings():
            of_job.setdefault(row["job_id"], []).append(row_of(Batch, row))
        for row in db.execute(select(jobs).order_by(jobs.c.created_at, jobs.c.attempt)).mappings():
            kept.setdefault(row["root_job_id"], []).append(_Kept(row_of(Job, row), of_job.get(row["job_id"], [])))
    return kept


def _job_row(standing: JobStatus, chain: Sequence[_Kept]) -> Row:
    job, rows = chain[0].job, [batch for kept in chain for batch in kept.batches]
    decided = {outcome: count for outcome, count in standing.outcomes.items() if outcome not in ("answered", "pending")}
    messages = (message for message in (job.error_message, *(row.error_message for row in rows)) if message)
    return {
        "job_id": job.job_id,
        "job_type": job.job_type,
        "task": job.task,
        "processor": job.task,
        "provider": job.provider,
        "model": job.model,
        "status": standing.state,
        "partition_key": job.partition_key,
        "selection": json.dumps(job.selection),
        "records": standing.records,
        "requests": standing.requests,
        "completed_count": standing.answered,
        "failed_count": sum(decided.values()),
        "cost_estimate": standing.estimated_cost_usd,
        "cost_usd": standing.cost_usd,
        "error_message": next(messages, None),
        "metadata": json.dumps(
            job.meta | _own(job) | {"outcomes": dict(standing.outcomes), "attempts": standing.attempts}
        ),
        "created_at": job.created_at,
        "submitted_at": min((row.submitted_at for row in rows if row.submitted_at), default=None),
        "completed_at": job.closed_at if standing.state in FINAL else None,
        "expires_at": max((row.expires_at for row in rows if row.expires_at), default=None),
    }


def _own(job: Job) -> Row:
    """What we keep with a job, without what somebody else put there."""
    return {name: value for name, value in job.metadata.items() if name != META}


def _batch_rows(standing: JobStatus, chain: Sequence[_Kept]) -> list[Row]:
    by_id = {batch.batch_id: batch for batch in standing.batches}
    return [
        _batch_row(kept.job, batch, by_id[batch.batch_id])
        for kept in chain
        for batch in kept.batches
        if batch.batch_id in by_id
    ]


def _batch_row(job: Job, batch: Batch, standing: BatchStatus) -> Row:
    return {
        "batch_id": batch.batch_id,
        "job_id": job.job_id,
        "task": job.task,
        "provider": job.provider,
        "model": job.model,
        "status": standing.state,
        "remote_id": standing.remote_id,
        "remote_status": batch.remote_status,
        "input_file_id": batch.input_file_id,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "requests": batch.requests,
        "completed_count": batch.completed,
        "failed_count": batch.failed,
        "input_tokens": batch.input_tokens,
        "cost_estimate": batch.estimate_usd,
        "cost_usd": batch.cost_usd,
        "usage": json.dumps(batch.usage) if batch.usage is not None else None,
        "error_message": batch.error_message,
        "created_at": job.planned_at,
        "submitted_at": batch.submitted_at,
        "completed_at": batch.ended_at,
        "expires_at": batch.expires_at,
    }
