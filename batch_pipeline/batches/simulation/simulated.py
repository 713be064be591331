"""A simulated plan: what an order of any size will take at an account, and here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from batch_pipeline.batches.money.admission import FILE_SHARE, job_budget, token_limit
from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.plan import Order, job_of, snapshot_of
from batch_pipeline.batches.requests.request_files import Limits
from batch_pipeline.batches.simulation.accounts import OPENAI_STORAGE, Account, tiers, with_limit
from batch_pipeline.batches.simulation.costs import Costs, costs_of
from batch_pipeline.batches.simulation.forecast import Forecast, Scene, forecast
from batch_pipeline.batches.simulation.latency import Latency
from batch_pipeline.batches.simulation.own import BYTES_PER_TOKEN, Disk, Pace, disk_of
from batch_pipeline.batches.simulation.sample import Sample, sample
from batch_pipeline.batches.simulation.work import ROWS_PER_JOB, Work
from batch_pipeline.errors import MissingKey, UsageError
from batch_pipeline.providers.limits import BATCH_LIMITS, FLEX
from batch_pipeline.settings import PREFIX, ProviderName

if TYPE_CHECKING:
    from batch_pipeline.batches.money.prices import Tariff
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.tasks.snapshot import TaskSnapshot

DIMENSIONS = 1_536
"""Of an embedding, where the task does not say: those of text-embedding-3-small."""
_OF_A_TIER = {"runs": 50, "events": 15_000, "most_batches": 5_000}
"""The table of all tiers is a rough one: what was asked for has its own, finer answer."""


@dataclass(frozen=True)
class Question:
    """What is asked of a simulation; what is None is looked up in the warehouse, the settings or the ledger."""

    rows: int | None = None
    tokens_per_row: float | None = None
    output_tokens: float | None = None
    tier: str | None = None
    enqueued_tokens: int | None = None
    rows_per_job: int = ROWS_PER_JOB
    latency: Latency = field(default_factory=Latency)
    pace: Pace = field(default_factory=Pace)
    runs: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Simulated:
    """What came of it. Of `local`, tiers and prices are those of `PRICE_AS`."""

    task: str
    provider: ProviderName
    model: str
    work: Work
    sampled: int
    """Rows of the task that were looked at; 0 where the tokens of a row were given."""
    costs: Costs
    account: Account
    forecast: Forecast
    disk: Disk
    tiers: dict[str, tuple[Account, Forecast]]
    breaks: list[str]
    """What does not fit as things are, in words; what all the rest waits for comes first."""


def simulate(pipeline: Pipeline, order: Order, question: Question) -> Simulated:
    """Simulates an order; nothing is planned, and nothing is written.

    Raises:
        UsageError: There are no rows to measure, or the provider has no such tier for the model.
        InvalidTask: As `plan`.
        InvalidSelection: As `plan`.
        UnpricedModel: As `plan`.
    """
    snapshot = snapshot_of(pipeline, order)
    tariff = pipeline.prices.tariff(snapshot.provider, snapshot.model)
    provider, model = _compared(snapshot.provider, tariff)
    counter = TokenCounter(tariff.batch.model)
    work, looked_at = _work(pipeline, order, question, snapshot, counter)
    costs = costs_of(
        tariff,
        looked_at.input_tokens,
        work.requests,
        snapshot.max_output_tokens,
        exact=counter.exact,
        expected_output_tokens=question.output_tokens,
        headroom=0 if snapshot.embeds else None,
        flex=provider in FLEX and not snapshot.embeds,
    )
    known = tiers(provider, model)
    account = _account(pipeline, question, provider, model, known)
    pace = replace(question.pace, lookup_seconds=0.0) if order.force else question.pace
    scene = Scene(
        work,
        _limits(pipeline, provider, account),
        account,
        question.latency,
        pace,
        pipeline.settings.poll_seconds,
    )
    found = forecast(scene, runs=question.runs, seed=question.seed)
    simulated = Simulated(
        task=order.task.name,
        provider=provider,
        model=model,
        work=work,
        sampled=looked_at.rows if question.tokens_per_row is None else 0,
        costs=costs,
        account=account,
        forecast=found,
        disk=disk_of(work, costs.output_tokens, found.most_open, _dimensions(order, snapshot)),
        tiers={
            name: (each, found if each == account else _of_tier(pipeline, scene, provider, each, question.seed))
            for name, each in known.items()
        },
        breaks=[],
    )
    budget = job_budget(pipeline.settings, job_of(order, snapshot.model_copy(update={"provider": provider})))
    return replace(simulated, breaks=_breaks(simulated, pipeline, question.pace, budget))


def _dimensions(order: Order, snapshot: TaskSnapshot) -> int:
    return (order.task.dimensions or DIMENSIONS) if snapshot.embeds else 0


def _compared(provider: ProviderName, tariff: Tariff) -> tuple[ProviderName, str]:
    """Who is simulated: a local server has no queue, so it stands for the model that its prices are shown for."""
    model = tariff.batch.model
    if provider == "local":
        return ("anthropic" if "claude" in model.lower() else "openai"), model
    return provider, model


def _work(
    pipeline: Pipeline, order: Order, question: Question, snapshot: TaskSnapshot, counter: TokenCounter
) -> tuple[Work, Sample]:
    if question.rows is not None and question.tokens_per_row is not None:
        tokens = max(1, round(question.tokens_per_row))
        given = Sample(1, 1, (tokens,), 1, round(BYTES_PER_TOKEN * tokens))
        return given.work(question.rows, question.rows_per_job), given
    found = sample(pipeline, order, snapshot, counter)
    rows = found.selected if question.rows is None else question.rows
    if question.tokens_per_row is not None:
        return _work(pipeline, order, replace(question, rows=rows), snapshot, counter)
    if not found.input_tokens and rows:
        raise UsageError(
            f"No record of `{order.task.name}` is left to measure: give --tokens-per-row, or --force to take all."
        )
    return found.work(rows, question.rows_per_job), found


def _account(
    pipeline: Pipeline, question: Question, provider: ProviderName, model: str, known: dict[str, Account]
) -> Account:
    if question.tier is not None:
        if question.tier not in known:
            there = f"it has {', '.join(known)}" if known else "no page gives its tiers: give --enqueued-tokens"
            raise UsageError(f"No tier `{question.tier}` is known of {model} at {provider}; {there}.")
        return known[question.tier]
    if question.enqueued_tokens is not None:
        return with_limit(provider, question.enqueued_tokens, "as given")
    if pipeline.settings.enqueued_tokens is not None:
        return with_limit(provider, pipeline.settings.enqueued_tokens, f"{PREFIX}ENQUEUED_TOKENS")
    if (learned := _learned(pipeline, provider, model)) is not None:
        return with_limit(provider, learned, "learned from the provider's refusal")
    if known:
        lowest = next(iter(known.values()))
        return replace(lowest, source=f"{lowest.source}; assumed, --tier says which it is")
    return replace(with_limit(provider, 1, "no limit is known"), limit=None)


def _learned(pipeline: Pipeline, provider: ProviderName, model: str) -> int | None:
    try:
        account = pipeline.provider(provider).account
    except MissingKey:  # what was learned for a key can't be known without it
        return None
    with pipeline.ledger.read() as db:
        return token_limit(db, pipeline.settings, account, model)


def _limits(pipeline: Pipeline, provider: ProviderName, account: Account) -> Limits:
    most, settings = BATCH_LIMITS[provider], pipeline.settings
    of_queue = account.limit if account.unit == "tokens" else None
    return Limits(
        min(settings.max_requests or most.requests, most.requests),
        min(settings.max_file_bytes or most.bytes, most.bytes),
        None if of_queue is None else int(FILE_SHARE * of_queue),
    )


def _of_tier(pipeline: Pipeline, scene: Scene, provider: ProviderName, account: Account, seed: int) -> Forecast:
    asked = replace(scene, account=account, limits=_limits(pipeline, provider, account))
    return forecast(asked, seed=seed, **_OF_A_TIER)


_WAITS = {
    "queue": "The provider's queue is what it waits for: ask the provider for a higher limit.",
    "creates": "The number of batches that may be created within an hour is what it waits for: make files fuller.",
    "planning": "Planning here is what it waits for: it looks up what was asked before, which --force leaves out.",
    "collecting": "Collecting here is what it waits for: more processes do more, with ledger and warehouse on servers.",
    "latency": "The last batches at the provider are what it waits for: nothing here makes that shorter.",
}


def _breaks(found: Simulated, pipeline: Pipeline, pace: Pace, budget: float | None) -> list[str]:
    work, settings = found.work, pipeline.settings
    breaks = [_WAITS[found.forecast.slowest]]
    of_job = found.costs.bound * min(1.0, work.rows_per_job / work.rows) if work.rows else 0.0
    if budget is not None and of_job > budget:
        breaks.append(
            f"A job of {min(work.rows, work.rows_per_job):,} rows may cost {of_job:,.2f} USD, and may spend "
            f"{budget:,.2f}: set --budget, or {PREFIX}BUDGET_JOB_USD."
        )
    if settings.budget_day_usd and (days := found.costs.bound / settings.budget_day_usd) > 1:
        breaks.append(f"{PREFIX}BUDGET_DAY_USD stretches it to {days:,.0f} days, at worst.")
    if found.provider == "openai" and found.disk.requests + found.disk.answers > OPENAI_STORAGE:
        breaks.append(
            "Its files are more than the 2.5 TB that a project at OpenAI may keep: "
            f"set {PREFIX}DELETE_REMOTE_FILES=true, which deletes them as they are collected."
        )
    if found.disk.whole > _free(pipeline):
        breaks.append(
            "Its files, ledger and warehouse are more than is free here: `prune` between jobs, or use servers."
        )
    if pace.hosts > 1 and settings.warehouse_url is None:
        breaks.append("One DuckDB file has one writer: several hosts want the warehouse on DuckLake.")
    return breaks


def _free(pipeline: Pipeline) -> int:
    """Bytes that the disk of the data folder has left."""
    from shutil import disk_usage

    folder = pipeline.data_dir
    while not folder.exists():
        folder = folder.parent
    return disk_usage(folder).free
