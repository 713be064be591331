"""An order as it comes over HTTP, kept: what is answered with a job's id is in the ledger, whatever is killed."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batch_pipeline.api.known_right import KnownRight
from batch_pipeline.api.models import CreateBatch, CreatedBatch
from batch_pipeline.api.problems import Refused
from batch_pipeline.api.worker import ORIGIN
from batch_pipeline.batches import dry_run as dry
from batch_pipeline.batches import kept_orders
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.requests.orders import read_orders
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing.status import JobState, status
from batch_pipeline.ledger import idempotency, jobs
from batch_pipeline.ledger.idempotency import Key
from batch_pipeline.ledger.jobs import META, Job
from batch_pipeline.tasks.registry import load_tasks

if TYPE_CHECKING:
    from sqlalchemy import Connection


def dry_run(pipeline: Pipeline, asked: CreateBatch) -> CreatedBatch:
    """What an order would come to; nothing is kept.

    Raises:
        PipelineError: As `plan`.
    """
    run = dry.dry_run(pipeline, order_of(asked, None), pipeline.settings.sql_seconds)
    of_money = {"batch_usd": run.batch_usd, "realtime_usd": run.realtime_usd, "saved_usd": run.saved_usd}
    return _created(run.job, None, run.batches).model_copy(update={"job_id": None, "dry_run": True, **of_money})


@dataclass(frozen=True)
class Wanted:
    """An order that may be kept: as a job, under the client's key, if it gave one."""

    order: Order
    job: Job
    key: Key | None


def wanted(pipeline: Pipeline, known_right: KnownRight, asked: CreateBatch, key: str | None) -> Wanted:
    """What is asked for, found right.

    Raises:
        PipelineError: It can't be planned: as `plan`, but for what only the records show; or the provider's key is
            missing.
    """
    order = order_of(asked, key or secrets.token_hex(8))
    pipeline.must_be_enabled()
    job = kept_orders.as_job(pipeline, order)
    pipeline.provider(job.provider)
    known_right.check(order)
    return Wanted(order, job, None if key is None else Key(key, _sha256(asked), job.provider, job.model))


def keep(pipeline: Pipeline, db: Connection, wanted: Wanted) -> Job:
    """Keeps an order as a job that is to be planned, or finds the job that it was kept as under the same key.

    Raises:
        Refused: The key was used for something else.
    """
    if wanted.key is None:
        return kept_orders.keep(db, wanted.job)
    first = idempotency.take(db, wanted.key)
    if first.sha256 != wanted.key.sha256:
        raise Refused(409, "key-reused", "This Idempotency-Key was used for another order. Take a new one for this.")
    if (first.provider, first.model) == (wanted.job.provider, wanted.job.model):
        return kept_orders.keep(db, wanted.job)
    as_then = replace(wanted.order, provider=first.provider, model=first.model)
    return kept_orders.keep(db, kept_orders.as_job(pipeline, as_then))


def to_be_planned(job: Job) -> CreatedBatch:
    """What is answered as long as nothing is known but that it is kept."""
    return _created(job, "planning", 0)


def created(pipeline: Pipeline, job_id: str) -> CreatedBatch:
    """What came of an order by now.

    Raises:
        Refused: It could not be planned.
    """
    now = status(pipeline, job_id)
    if now.error_message is not None:
        raise Refused(409, "impossible", now.error_message)
    with pipeline.ledger.read() as db:
        job = jobs.get(db, job_id)
    return _created(job, now.state, len(now.batches))


def _created(job: Job, state: JobState | None, batches: int) -> CreatedBatch:
    return CreatedBatch(
        job_id=job.job_id,
        task=job.task,
        state=state,
        records=job.records,
        requests=job.requests,
        reused=job.reused,
        batches=batches,
        input_tokens=job.input_tokens,
        estimated_cost_usd=job.estimate_usd,
        skipped=job.skipped,
        given_up=job.given_up,
        waiting=job.waiting,
    )


def order_of(asked: CreateBatch, key: str | None) -> Order:
    """The order.

    Raises:
        UnknownTask: There is no such task.
        InvalidSelection: There is no such order of records.
    """
    metadata: dict[str, object] = {"origin": ORIGIN}
    if asked.metadata:
        metadata[META] = dict(asked.metadata)
    if asked.budget_usd is not None:
        metadata["budget_usd"] = asked.budget_usd
    selection = Selection(
        sql=asked.sql,
        repo=asked.repo,
        org=asked.org,
        state=asked.state,
        ids=None if asked.ids is None else tuple(asked.ids),
        order=None if asked.order is None else read_orders(asked.order),
        limit=asked.limit,
        variant=asked.variant,
        which="all" if asked.force else asked.which,
    )
    task = load_tasks().get(asked.task)
    return Order(
        task,
        selection,
        provider=asked.provider,
        model=asked.model,
        key=key,
        force=asked.force,
        mode=asked.mode,
        canary=(task.canary if asked.canary is None else asked.canary) or None,
        metadata=metadata,
    )


def _sha256(asked: CreateBatch) -> str:
    return hashlib.sha256(json.dumps(asked.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
