"""An order as it comes over HTTP, planned: what is answered with a job's id is in the ledger, whatever is killed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from batch_pipeline.api.models import CreateBatch, CreatedBatch
from batch_pipeline.api.problems import Refused
from batch_pipeline.api.worker import ORIGIN
from batch_pipeline.batches import dry_run as dry
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan, snapshot_of
from batch_pipeline.batches.requests.orders import read_orders
from batch_pipeline.batches.requests.select import Selection
from batch_pipeline.batches.standing.status import status
from batch_pipeline.ledger import idempotency
from batch_pipeline.ledger.idempotency import Key
from batch_pipeline.ledger.jobs import META, Job
from batch_pipeline.tasks.registry import load_tasks


def create(pipeline: Pipeline, asked: CreateBatch, key: str | None) -> CreatedBatch:
    """Plans what is asked for, or finds the job that it was planned as under the same key; sends nothing.

    Raises:
        Refused: The key was used for something else.
        PipelineError: As `plan`, and where the provider's key is missing.
    """
    order = order_of(asked, key)
    if asked.dry_run:
        return _dry_run(pipeline, order)
    pipeline.must_be_enabled()
    snapshot = snapshot_of(pipeline, order)
    pipeline.provider(snapshot.provider)
    if key is not None:
        wanted = Key(key, _sha256(asked), snapshot.provider, snapshot.model)
        with pipeline.ledger.begin() as db:
            kept = idempotency.take(db, wanted)
        if kept.sha256 != wanted.sha256:
            raise Refused(
                409, "key-reused", "This Idempotency-Key was used for another order. Take a new one for this."
            )
        order = replace(order, provider=kept.provider, model=kept.model)
    return _created(pipeline, plan(pipeline, order))


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
    return Order(
        load_tasks().get(asked.task),
        selection,
        provider=asked.provider,
        model=asked.model,
        key=key,
        force=asked.force,
        canary=asked.canary,
        metadata=metadata,
    )


def _created(pipeline: Pipeline, job: Job) -> CreatedBatch:
    now = status(pipeline, job.job_id) if job.records else None
    shown = _shown(job)
    return (
        shown
        if now is None
        else shown.model_copy(update={"job_id": job.job_id, "state": now.state, "batches": len(now.batches)})
    )


def _dry_run(pipeline: Pipeline, order: Order) -> CreatedBatch:
    run = dry.dry_run(pipeline, order)
    prices = {"batch_usd": run.batch_usd, "realtime_usd": run.realtime_usd, "saved_usd": run.saved_usd}
    return _shown(run.job).model_copy(update={"dry_run": True, "batches": run.batches, **prices})


def _shown(job: Job) -> CreatedBatch:
    return CreatedBatch(
        job_id=None,
        task=job.task,
        state=None,
        records=job.records,
        requests=job.requests,
        reused=job.reused,
        batches=0,
        input_tokens=job.input_tokens,
        estimated_cost_usd=job.estimate_usd,
        skipped=job.skipped,
        given_up=job.given_up,
        waiting=job.waiting,
    )


def _sha256(asked: CreateBatch) -> str:
    return hashlib.sha256(json.dumps(asked.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
