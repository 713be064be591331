"""Compares what the server did with what the ledger and the warehouse say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from sqlalchemy import select

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger import jobs, sends
from batch_pipeline.ledger.tables import batches, inflight
from batch_pipeline.ledger.tables import sends as sends_table
from batch_pipeline.settings import DEFAULT_MODELS
from batch_pipeline.wire.messages import CLAIM_LENGTH
from batch_pipeline_tests.batches.chain import query

Booked = Mapping[str, object]

ANSWERED_TWICE = """
SELECT fingerprint, count(*) FROM batch_results JOIN batch_requests USING (batch_id, custom_id)
WHERE outcome = 'answered' GROUP BY fingerprint HAVING count(*) > 1
"""
EXECUTED = "SELECT count(*) FROM batch_results WHERE http_status IS NOT NULL"
ANSWERED = "SELECT count(DISTINCT record_id), count(*) FROM mood_latest"
ACCOUNTED = "SELECT job_id, count(*), count(DISTINCT record_id) FROM batch_items GROUP BY job_id"
CLAIMS = select(sends_table.c.batch_id, sends_table.c.claim)


@dataclass(frozen=True)
class Found:
    """What came of a trial: batches and lines that the server executed, and what is wrong."""

    batches: int
    lines: int
    violations: list[str]


def judge(pipeline: Pipeline, books: list[Booked], records: int, *, cancelled: bool) -> Found:
    """Every batch executed once and known, every record answered once and accounted for, every cent booked."""
    plans = _plans(pipeline, books)
    paid = [batch for batch in books if batch["lines_executed"] and batch["batch_id"] in plans]
    lines = sum(cast(int, batch["lines_executed"]) for batch in paid)
    wrong = [
        *_twice(plans[str(batch["batch_id"])] for batch in paid),
        *_ledger(pipeline, paid),
        *_warehouse(pipeline, lines),
        *_records(pipeline, records, cancelled=cancelled),
        *_cost(pipeline, paid),
    ]
    return Found(len(paid), lines, wrong)


def _plans(pipeline: Pipeline, books: list[Booked]) -> dict[str, str]:
    """Of this pipeline's batches at the server, which planned one each is: by its metadata, or the claim in its ids."""
    with pipeline.ledger.read() as db:
        claims = {claim[:CLAIM_LENGTH]: batch for batch, claim in db.execute(CLAIMS)}
    plans: dict[str, str] = {}
    for booked in books:
        told = cast("dict[str, str]", booked["metadata"])
        if told.get("pipeline") == pipeline.pipeline_id:
            plans[str(booked["batch_id"])] = told["batch"]
        elif plan := claims.get(told.get("custom_id", "")[:CLAIM_LENGTH]):
            plans[str(booked["batch_id"])] = plan
    return plans


def _twice(plans: Iterable[str]) -> Iterator[str]:
    counts = Counter(plans)
    yield from (f"{batch} was executed {count} times" for batch, count in counts.items() if count > 1)


def _ledger(pipeline: Pipeline, paid: list[Booked]) -> Iterator[str]:
    with pipeline.ledger.read() as db:
        unknown = {str(batch["batch_id"]) for batch in paid} - sends.remote_ids(db)
        taken = db.execute(select(inflight.c.fingerprint)).all()
        left_open = list(db.scalars(select(sends_table.c.claim).where(sends_table.c.end.is_(None))))
        uncollected = list(db.scalars(select(batches.c.batch_id).where(batches.c.collected_at.is_(None))))
        unclosed = [job.job_id for job in jobs.not_closed(db)]
    yield from (f"{remote} was executed and is not known" for remote in unknown)
    if taken:
        yield f"{len(taken)} fingerprints are still taken"
    if left_open or uncollected or unclosed:
        yield f"left open: sends {left_open}, batches {uncollected}, jobs {unclosed}"


def _warehouse(pipeline: Pipeline, lines: int) -> Iterator[str]:
    stored = query(pipeline, EXECUTED)[0][0]
    if stored != lines:
        yield f"{lines} lines were executed, {stored} are stored"
    yield from (f"{row[0]} was answered {row[1]} times" for row in query(pipeline, ANSWERED_TWICE))


def _records(pipeline: Pipeline, records: int, *, cancelled: bool) -> Iterator[str]:
    if not cancelled and query(pipeline, ANSWERED) != [(records, records)]:
        yield f"of {records} records, {query(pipeline, ANSWERED)} are answered"
    accounted = {row[0]: row[1:] for row in query(pipeline, ACCOUNTED)}
    with pipeline.ledger.read() as db:
        chains = [job for root in jobs.newest(db) for job in jobs.attempts(db, root.job_id)]
    for job in chains:
        if job.planned_at is not None and accounted.get(job.job_id) != (job.records, job.records):
            yield f"{job.job_id} has {job.records} records, accounted for are {accounted.get(job.job_id)}"


def _cost(pipeline: Pipeline, paid: list[Booked]) -> Iterator[str]:
    provider = pipeline.settings.provider
    price = pipeline.prices.tariff(provider, DEFAULT_MODELS[provider]).paid
    columns = [
        [cast(int, batch[kind]) for batch in paid] for kind in ("input_tokens", "cached_tokens", "output_tokens")
    ]
    billed = sum(price.costs(*columns))
    with pipeline.ledger.read() as db:
        booked = sum(cost for cost in db.scalars(select(batches.c.cost_usd)) if cost is not None)
    if abs(billed - booked) > 1e-9:
        yield f"{billed:.9f} USD were billed, {booked:.9f} are booked"
