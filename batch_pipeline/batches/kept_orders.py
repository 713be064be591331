"""Orders that are kept first and planned later: whoever asks has its job's id at once, and whoever comes plans it.

An order is a job in the ledger that is not planned yet, so nothing of it is lost with a process. It is planned once:
the plan's lock and its commit are those of any other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, cast

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, job_of, plan, snapshot_of
from batch_pipeline.batches.requests.selection import Selection, Which
from batch_pipeline.errors import UnpricedModel, UsageError
from batch_pipeline.ledger import events, jobs
from batch_pipeline.ledger.jobs import MODE, ORDER, Job
from batch_pipeline.settings import Mode
from batch_pipeline.tasks.registry import load_tasks

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

GRACE_SECONDS = 60.0
"""How long whoever has kept an order is left to plan it, before another process does."""
PLANNING_SECONDS = 10.0
"""For orders that somebody else has kept and left, in one round or tick."""
_OWN = (ORDER, MODE)
"""In the job's metadata beside that of the order."""


def as_job(pipeline: Pipeline, order: Order) -> Job:
    """The job that an order is kept as; neither the records nor their SQL are looked at.

    Args:
        pipeline: The pipeline.
        order: With a key of its own.

    Raises:
        UsageError: The provider does not answer in that mode.
        InvalidTask: The task has no such variant.
        UnpricedModel: No price is known for the model.
    """
    job = job_of(order, snapshot_of(pipeline, order))
    beside = {"key": order.key, "canary": order.canary}
    return replace(job, metadata={**job.metadata, ORDER: beside})


def keep(db: Connection, job: Job) -> Job:
    """Writes an order into the ledger, as `as_job` gives it, or finds the job of its key."""
    kept = jobs.open_job(db, job)
    if kept.job_id == job.job_id:
        events.record(db, "asked for", job.job_id)
    return kept


def kept_orders(pipeline: Pipeline, older_than: float = 0.0) -> list[str]:
    """The ids of the jobs that are to be planned and were kept that many seconds ago, the oldest first."""
    before = time.time() - older_than
    with pipeline.ledger.read() as db:
        return [job.job_id for job in jobs.unplanned(db) if job.to_be_planned and job.created_at <= before]


def plan_kept(pipeline: Pipeline, job_id: str) -> bool:
    """Plans a job that was kept, or ends it with the reason where it can't be planned: its task or SQL is wrong.

    Returns:
        Whether it is through with being planned, and was not before. Nothing is planned while the pipeline is off.

    Raises:
        PipelineError: Not now; it stays kept, and is planned by whoever comes next.
    """
    with pipeline.ledger.read() as db:
        kept = jobs.get(db, job_id)
    if not kept.to_be_planned or not pipeline.settings.enabled:
        return False
    if kept.cancel_asked_at is not None:
        return _end(pipeline, kept, None)
    try:
        plan(pipeline, order_of(kept), pipeline.settings.sql_seconds)
    except (UsageError, UnpricedModel) as error:
        with pipeline.ledger.read() as db:
            kept = jobs.get(db, job_id)
        return _end(pipeline, kept, str(error))
    return True


def plan_all_kept(pipeline: Pipeline, until: float) -> list[str]:
    """Plans what others have kept and left: by now their process may be gone.

    Args:
        pipeline: The pipeline.
        until: When to begin nothing more, as `time.monotonic`.

    Returns:
        The ids of those that are planned by now.
    """
    planned: list[str] = []
    for job_id in kept_orders(pipeline, GRACE_SECONDS):
        if time.monotonic() > until:
            break
        try:
            if plan_kept(pipeline, job_id):
                planned.append(job_id)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one order, the others go on
            log.warning("%s is not planned yet: %s", job_id, type(error).__name__)
    return planned


def order_of(kept: Job) -> Order:
    """The order that a job was kept with.

    Raises:
        UnknownTask: The task is gone.
    """
    beside = cast("Mapping[str, object]", kept.metadata[ORDER])
    return Order(
        load_tasks().get(kept.task),
        _selection(kept.selection),
        provider=kept.provider,
        model=kept.model,
        key=cast("str", beside["key"]),
        partition_key=kept.partition_key,
        force=bool(kept.selection.get("force")),
        mode=cast("Mode", kept.metadata.get(MODE, "batch")),
        canary=cast("int | None", beside["canary"]),
        job_type="task" if kept.job_type == "embedding" else kept.job_type,
        metadata={name: value for name, value in kept.metadata.items() if name not in _OWN},
    )


def _selection(told: Mapping[str, object]) -> Selection:
    """The selection, out of what it told."""
    given = dict(told)
    given.pop("force", None)
    night, ids, order = given.pop("night", None), given.pop("ids", None), given.pop("order", None)
    return replace(
        Selection(**given),  # pyright: ignore[reportArgumentType] - its own fields, as the ledger has them
        night=None if night is None else date.fromisoformat(str(night)),
        ids=None if ids is None else tuple(cast("list[str]", ids)),
        order=None if order is None else tuple(cast("list[str]", order)),
        which=cast("Which", given["which"]),
    )


def _end(pipeline: Pipeline, kept: Job, error: str | None) -> bool:
    with pipeline.ledger.begin() as db:
        ended = jobs.close_unplanned(db, kept, error)
        if ended:
            events.record(db, "cancelled" if error is None else "not planned", kept.job_id)
    return ended
