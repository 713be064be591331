"""Spend: what was estimated, paid and saved, cut by day, night, repository, task or model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select

from batch_pipeline.batches.money.estimates import Comparison
from batch_pipeline.batches.money.sums import summed
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.report import price_threshold, usd_of_sums
from batch_pipeline.ledger import tables
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.ledger.rows import row_of
from batch_pipeline.settings import Mode
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.warehouse.spending import Portion, portions

By = Literal["task", "model", "repo", "night", "day"]
BYS: tuple[By, ...] = ("task", "model", "repo", "night", "day")

RATE_DAYS = 30
"""The days whose rate is taken for a year's."""
NO_REPO, NO_NIGHT = "no repository", "by hand"
"""What is no issue; what was asked for no night."""


@dataclass(frozen=True)
class Spent:
    """What one repository's records had of one batch. Money is USD, `requests` may be a part of one.

    `day` is that on which the batch was sent (`TIMEZONE`), or its job made; `night` and `repo` are None where the job
    is of no night, and the records of no repository. Tokens are those that were billed. `price_usd` is what was paid;
    for what ran on this machine and was free, what it would be in batch.
    """

    day: date
    night: str | None
    repo: str | None
    task: str
    provider: str
    model: str
    mode: Mode
    requests: float
    input_tokens: int
    output_tokens: int
    estimate_usd: float
    price_usd: float
    modes: Comparison

    @property
    def per_record_usd(self) -> float:
        """The price of one record; 0 where none is answered."""
        return self.price_usd / self.modes.records if self.modes.records else 0.0

    def name(self, by: By) -> str:
        """What it is counted as."""
        names = {
            "task": self.task,
            "model": self.model if self.mode == "batch" else f"{self.model}, {self.mode}",
            "repo": self.repo or NO_REPO,
            "night": self.night or NO_NIGHT,
            "day": self.day.isoformat(),
        }
        return names[by]

    def __add__(self, other: Spent) -> Spent:
        return summed(self, other, ("day", "night", "repo", "task", "provider", "model", "mode"))


@dataclass(frozen=True)
class Yearly:
    """What batches save in a year, if it goes on as in the last `days` days, in which they saved `saved_usd`."""

    days: int
    saved_usd: float
    year_usd: float


def spending(pipeline: Pipeline) -> list[Spent]:
    """All that was spent so far, by day.

    Raises:
        WarehouseBusy: Another process holds the warehouse for longer than we wait.
        UnpricedModel: The price of a model is no longer known.
    """
    jobs, rows = _kept(pipeline)
    thresholds = {job.job_id: price_threshold(pipeline, job.provider, job.model) for job in jobs.values()}
    with pipeline.warehouse.read() as connection:
        found = portions(connection, thresholds)
    sums = _Sums(pipeline, ZoneInfo(pipeline.settings.timezone))
    spent = [sums.of_portion(jobs[each.job_id], rows.get(each.batch_id), each) for each in found]
    collected = {each.batch_id for each in found}
    spent += [sums.in_flight(jobs[row.job_id], row) for row in rows.values() if row.batch_id not in collected]
    return sorted(spent, key=lambda each: each.day)


def grouped(spent: Iterable[Spent], *by: By) -> dict[tuple[str, ...], Spent]:
    """The sums by one or several names, in order of the names."""
    sums: dict[tuple[str, ...], Spent] = {}
    for each in spent:
        names = tuple(each.name(one) for one in by)
        sums[names] = sums[names] + each if names in sums else each
    return dict(sorted(sums.items()))


def total(spent: Iterable[Spent]) -> Comparison:
    """What all of it came to, in each mode."""
    return sum((each.modes for each in spent), Comparison())


def per_record(spent: Sequence[Spent]) -> float:
    """The price of one record, over all of it; 0 where none is answered."""
    records = sum(each.modes.records for each in spent)
    return sum(each.price_usd for each in spent) / records if records else 0.0


def yearly(spent: Sequence[Spent], today: date) -> Yearly:
    """A year's saving at the present rate: that of the last thirty days, or of all days where there are fewer."""
    first = min((each.day for each in spent), default=today)
    days = max(1, min(RATE_DAYS, (today - first).days + 1))
    saved = total(each for each in spent if each.day > today - timedelta(days=days)).saved_usd
    return Yearly(days, saved, saved / days * 365)


def today(pipeline: Pipeline) -> date:
    """The day of now, in the time zone of the settings."""
    return datetime.now(ZoneInfo(pipeline.settings.timezone)).date()


def _kept(pipeline: Pipeline) -> tuple[dict[str, Job], dict[str, Batch]]:
    with pipeline.ledger.read() as db:
        jobs = {row["job_id"]: row_of(Job, row) for row in db.execute(select(tables.jobs)).mappings()}
        rows = {row["batch_id"]: row_of(Batch, row) for row in db.execute(select(tables.batches)).mappings()}
    return jobs, rows


@dataclass(frozen=True)
class _Sums:
    pipeline: Pipeline
    zone: ZoneInfo

    def of_portion(self, job: Job, row: Batch | None, portion: Portion) -> Spent:
        """What was bought before was in no batch, and costs nothing."""
        begun, tokens = self._begun(job, row, portion.repo), portion.tokens
        tariff = self.pipeline.prices.tariff(job.provider, job.model, begun.mode)
        usd = [usd_of_sums(price, tokens) for price in (tariff.batch, tariff.realtime, tariff.flex)]
        return replace(
            begun,
            requests=portion.requests if row is not None else 0.0,
            input_tokens=tokens.input_tokens,
            output_tokens=tokens.output_tokens,
            estimate_usd=row.estimate_usd * portion.requests / row.requests if row is not None else 0.0,
            price_usd=usd[0] if job.provider == "local" else portion.cost_usd,
            modes=Comparison(portion.answered, portion.cost_usd, *usd),
        )

    def in_flight(self, job: Job, row: Batch) -> Spent:
        """Estimated, and nothing more is known yet."""
        return replace(self._begun(job, row, None), requests=float(row.requests), estimate_usd=row.estimate_usd)

    def _begun(self, job: Job, row: Batch | None, repo: str | None) -> Spent:
        night, of_partition = _of_partition(job.partition_key)
        at = (row.submitted_at if row is not None else None) or job.created_at
        return Spent(
            day=datetime.fromtimestamp(at, self.zone).date(),
            night=night,
            repo=repo or of_partition,
            task=job.task,
            provider=job.provider,
            model=job.model,
            mode=TaskSnapshot.model_validate_json(job.snapshot).mode,
            requests=0.0,
            input_tokens=0,
            output_tokens=0,
            estimate_usd=0.0,
            price_usd=0.0,
            modes=Comparison(),
        )


def _of_partition(key: str | None) -> tuple[str | None, str | None]:
    """The night and the repository that a partition's key names."""
    night, _, repo = (key or "").partition("|")
    return (night if _is_day(night) else None), repo or None


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
