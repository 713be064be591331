"""Cost: what was estimated, what our settlement says, and what the provider's own `usage` says; in each mode.

A batch's `usage` is a sum of tokens, and so has no price of its own: which rows were long is not in it. What it differs
by is priced at the base rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from batch_pipeline.batches.money.estimates import Comparison
from batch_pipeline.batches.money.sums import summed
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.report import comparison, price_threshold
from batch_pipeline.batches.standing.status import JobStatus, status, statuses
from batch_pipeline.ledger import batches, jobs
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.settings import Mode
from batch_pipeline.warehouse.figures import Figures, Tokens, figures, tokens_of_batches
from batch_pipeline.wire.batch import BatchUsage


@dataclass(frozen=True)
class Count:
    """Tokens as somebody counted them."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
        )

    def __sub__(self, other: Count) -> Count:
        return self + Count(-other.input_tokens, -other.cached_tokens, -other.output_tokens)


@dataclass(frozen=True)
class Cost:
    """Of one job with its attempts, or of all jobs of a task, model and mode. Money is USD.

    `settled` is our sum over the rows of every collected batch; `reported` the providers' own over the `compared` of
    them for which there is one, and `difference` that less ours over the same batches.
    """

    task: str
    provider: str
    model: str
    mode: Mode
    jobs: int
    batches: int
    collected: int
    compared: int
    records: int
    estimated_input_tokens: int
    estimate_usd: float
    settled: Count
    reported: Count
    difference: Count
    difference_usd: float
    modes: Comparison

    @property
    def agrees(self) -> bool:
        """Whether the provider counted what we did, wherever it said what it counted."""
        return self.difference == Count()

    def __add__(self, other: Cost) -> Cost:
        return summed(self, other, ("task", "provider", "model", "mode"))


def cost_of(pipeline: Pipeline, job_id: str) -> Cost:
    """What one job with its attempts came to so far; an attempt's id serves as well.

    Raises:
        UnknownJob: There is no job of that id.
        WarehouseBusy: Another process holds the warehouse for longer than we wait.
    """
    return _costs(pipeline, [status(pipeline, job_id)])[0]


def costs(pipeline: Pipeline) -> list[Cost]:
    """What all jobs came to so far, by task, provider, model and mode.

    Raises:
        WarehouseBusy: Another process holds the warehouse for longer than we wait.
    """
    of_jobs = sorted(_costs(pipeline, statuses(pipeline)), key=_kind)
    return [_sum(list(same)) for _, same in groupby(of_jobs, _kind)]


def _kind(cost: Cost) -> tuple[str, str, str, str]:
    return cost.task, cost.provider, cost.model, cost.mode


def _sum(of_jobs: Sequence[Cost]) -> Cost:
    total, *others = of_jobs
    for other in others:
        total += other
    return total


def _costs(pipeline: Pipeline, standing: Sequence[JobStatus]) -> list[Cost]:
    with pipeline.ledger.read() as db:
        chains = jobs.chains(db, [job.job_id for job in standing])
        rows = batches.by_job(db, [job.job_id for chain in chains.values() for job in chain])
    of_job = {root: [row for job in chain for row in rows.get(job.job_id, [])] for root, chain in chains.items()}
    job_ids = {root: [job.job_id for job in chain] for root, chain in chains.items()}
    figured, settled = _figures(pipeline, standing, job_ids), _settled(pipeline, of_job.values())
    return [_cost(pipeline, job, of_job[job.job_id], figured[job.job_id], settled) for job in standing]


def _figures(
    pipeline: Pipeline, standing: Sequence[JobStatus], job_ids: Mapping[str, Sequence[str]]
) -> dict[str, Figures]:
    """The figures of each job, asked for once a threshold."""
    by_threshold: dict[int | None, dict[str, Sequence[str]]] = {}
    for job in standing:
        threshold = price_threshold(pipeline, job.provider, job.model)
        by_threshold.setdefault(threshold, {})[job.job_id] = job_ids[job.job_id]
    found: dict[str, Figures] = {}
    with pipeline.warehouse.read() as connection:
        for threshold, chains in by_threshold.items():
            found |= figures(connection, chains, threshold)
    return found


def _settled(pipeline: Pipeline, of_jobs: Iterable[Sequence[Batch]]) -> dict[str, Tokens]:
    collected = [row.batch_id for rows in of_jobs for row in rows if row.collected_at is not None]
    with pipeline.warehouse.read() as connection:
        return tokens_of_batches(connection, collected)


def _cost(
    pipeline: Pipeline, job: JobStatus, rows: Sequence[Batch], figured: Figures, tokens: Mapping[str, Tokens]
) -> Cost:
    collected = [row for row in rows if row.collected_at is not None]
    ours = {row.batch_id: _counted(tokens.get(row.batch_id, Tokens())) for row in collected}
    theirs = {row.batch_id: _reported(row.usage) for row in collected if row.usage is not None}
    difference = _total(theirs[batch_id] - ours[batch_id] for batch_id in theirs)
    return Cost(
        task=job.task,
        provider=job.provider,
        model=job.model,
        mode=job.mode,
        jobs=1,
        batches=len(rows),
        collected=len(collected),
        compared=len(theirs),
        records=job.records,
        estimated_input_tokens=job.input_tokens,
        estimate_usd=job.estimated_cost_usd,
        settled=_total(ours.values()),
        reported=_total(theirs.values()),
        difference=difference,
        difference_usd=_usd(pipeline, job, difference),
        modes=comparison(pipeline, job, figured),
    )


def _usd(pipeline: Pipeline, job: JobStatus, count: Count) -> float:
    rates = pipeline.prices.tariff(job.provider, job.model, job.mode).paid.base
    plain = count.input_tokens - count.cached_tokens
    return plain * rates.input + count.cached_tokens * rates.cached_input + count.output_tokens * rates.output


def _total(counts: Iterable[Count]) -> Count:
    return sum(counts, Count())


def _counted(tokens: Tokens) -> Count:
    return Count(tokens.input_tokens, tokens.cached_tokens, tokens.output_tokens)


def _reported(usage: Mapping[str, object]) -> Count:
    told = BatchUsage.model_validate(usage)
    return Count(told.input_tokens, told.input_tokens_details.cached_tokens, told.output_tokens)
