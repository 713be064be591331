"""Admission: may this batch be sent now? Asked in the transaction of its claim, so that no two pass on one sum.

Budgets are held to with the batch's *bound*, the most that it may cost; capacity with its input tokens.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast

from batch_pipeline.batches.points import reach
from batch_pipeline.ledger import budgets, events, jobs, meta
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.settings import PREFIX, Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from batch_pipeline.batches.pipeline import Pipeline

DEFAULT_JOB_USD = 5.0
"""What a job may spend where no budget is set, at a provider that costs money."""
HALF_A_CENT = 0.005
LEARNED_SECONDS = 24 * 3600.0
"""How long what was learned of the provider's limits is kept to."""
FILE_SHARE = 0.8
"""The share of the provider's token queue that one file may fill: the count that decides is not ours."""
MOST_IN_FLIGHT = "max_batches_in_flight"
"""In a job's metadata: of its task, no more batches than that are at the provider at once."""

Kind = Literal["budget", "capacity", "canary", "stopped"]
"""`canary`: until that is through; `stopped`: until a person has decided about a bad one."""


@dataclass(frozen=True)
class Waits:
    """Why a batch is not sent now; `log` is what the log may say of it, where that is less."""

    kind: Kind
    why: str
    log: str | None = None


def admit(db: Connection, settings: Settings, account: str, job: Job, batch: Batch) -> Waits | None:
    """None if the batch may be claimed in this very transaction."""
    budgets.hold(db)
    reach("admit.sum_read")
    over_budget = _over_budget(db, settings, job, batch)
    if over_budget or job.at_once:
        return over_budget
    return _over_own_limit(db, job) or _over_capacity(db, settings, account, job, batch)


def set_budget(pipeline: Pipeline, job_id: str, usd: float) -> None:
    """What a job with its attempts may spend from now on; the next turn sends what is within it.

    Raises:
        UnknownJob: There is no job of that id.
    """
    with pipeline.ledger.begin() as db:
        budgets.hold(db)
        root_job_id = jobs.get(db, job_id).root_job_id
        jobs.set_budget(db, root_job_id, usd)
        events.record(db, "budget set", root_job_id, usd=usd)


def token_limit(db: Connection, settings: Settings, account: str, model: str) -> int | None:
    """Input tokens of a model that may be queued at once: the setting, else what the provider once said."""
    return settings.enqueued_tokens or _learned(db, _limit_name(account, model))


def learn_token_limit(db: Connection, account: str, job: Job, limit: int) -> None:
    """Keeps what was learned as the limit, for a day: accounts rise."""
    if _learned(db, _limit_name(account, job.model)) != limit:
        events.record(db, "token limit learned", job.job_id, model=job.model, tokens=limit)
    _learn(db, _limit_name(account, job.model), limit)


def file_tokens(db: Connection, settings: Settings, account: str, model: str) -> int | None:
    """Input tokens of one file: a share of the queue, or what was learned when even that was too large."""
    queue, learned = token_limit(db, settings, account, model), _learned(db, _file_name(account, model))
    known = [None if queue is None else int(FILE_SHARE * queue), learned]
    return min((tokens for tokens in known if tokens is not None), default=None)


def learn_too_large(db: Connection, account: str, job: Job, batch: Batch) -> None:
    """Keeps that files must be smaller than this batch: half of it, and again half if that is too large as well."""
    _learn(db, _file_name(account, job.model), max(1, batch.input_tokens // 2))


def job_budget(settings: Settings, job: Job) -> float | None:
    """USD that a job may spend: its own budget, the setting, or the default where money is spent at all."""
    own = job.metadata.get("budget_usd")
    if isinstance(own, int | float):
        return float(own)
    if settings.budget_job_usd is not None:
        return settings.budget_job_usd
    return None if job.provider == "local" else DEFAULT_JOB_USD


def _over_budget(db: Connection, settings: Settings, job: Job, batch: Batch) -> Waits | None:
    day, month, end = _day_and_month(settings)
    own = job_budget(settings, job)
    given = f"--budget of `batch-pipeline collect {job.root_job_id}`"
    checks = [
        (
            "this job",
            own,
            lambda: budgets.spent_by_job(db, job.root_job_id),
            given if "budget_usd" in job.metadata else f"{given} or {PREFIX}BUDGET_JOB_USD",
        ),
        ("today", settings.budget_day_usd, lambda: budgets.spent_between(db, day, end), f"{PREFIX}BUDGET_DAY_USD"),
        (
            "this month",
            settings.budget_month_usd,
            lambda: budgets.spent_between(db, month, end),
            f"{PREFIX}BUDGET_MONTH_USD",
        ),
    ]
    for what, limit, spent, setting in checks:
        if limit is not None and batch.bound_usd > 0 and (taken := spent()) + batch.bound_usd > limit:
            return Waits(
                "budget",
                f"budget: {what} may spend {in_usd(limit)}, {in_usd(taken)} are spent or reserved, "
                f"and this batch may cost {in_usd(batch.bound_usd)}; raise {setting} to send it",
            )
    return None


def spent_in_periods(db: Connection, settings: Settings) -> list[tuple[str, float | None, float]]:
    """For the running day and month: its name, what may be spent in it, and what is spent or reserved, in USD."""
    day, month, end = _day_and_month(settings)
    return [
        ("day", settings.budget_day_usd, budgets.spent_between(db, day, end)),
        ("month", settings.budget_month_usd, budgets.spent_between(db, month, end)),
    ]


def _over_own_limit(db: Connection, job: Job) -> Waits | None:
    most = job.metadata.get(MOST_IN_FLIGHT)
    if not isinstance(most, int) or (flying := budgets.in_flight(db, job.task)) < most:
        return None
    return Waits(
        "capacity",
        f"capacity: {flying:,} of at most {most:,} batches of {job.task} are in flight; it goes when one ends",
    )


def _over_capacity(db: Connection, settings: Settings, account: str, job: Job, batch: Batch) -> Waits | None:
    limit = token_limit(db, settings, account, job.model)
    if limit is None:
        return None
    queued = budgets.queued_tokens(db, account, job.model)
    if queued == 0 or queued + batch.input_tokens <= limit:
        return None  # one that is alone is sent whatever it holds: the provider has the last word
    return Waits(
        "capacity",
        f"capacity: {queued:,} of {limit:,} input tokens of {job.model} are queued at the provider, "
        f"and this batch has {batch.input_tokens:,}; it goes when others have ended",
    )


def _day_and_month(settings: Settings) -> tuple[float, float, float]:
    """Start of today, start of this month, and the end of today, in the pipeline's time zone (unix seconds)."""
    today = datetime.now(settings.tz).replace(hour=0, minute=0, second=0, microsecond=0)
    return today.timestamp(), today.replace(day=1).timestamp(), (today + timedelta(days=1)).timestamp()


def in_usd(amount: float) -> str:
    """An amount, in words."""
    return f"{amount:.2f} USD" if amount >= HALF_A_CENT else f"{amount:.6f} USD"


def _learn(db: Connection, name: str, tokens: int) -> None:
    meta.put(db, name, {"tokens": tokens, "at": time.time()})


def _learned(db: Connection, name: str) -> int | None:
    found = meta.get(db, name)
    if not isinstance(found, dict):
        return None
    learned = cast("dict[str, float]", found)
    return int(learned["tokens"]) if time.time() - learned["at"] < LEARNED_SECONDS else None


def _file_name(account: str, model: str) -> str:
    return f"file_tokens:{account}:{model}"


def _limit_name(account: str, model: str) -> str:
    return f"enqueued_tokens:{account}:{model}"
