"""Schedules: what is asked for at an hour of each day, by Dagster or by the server, whoever comes first.

A day's job has a key of its own, so however often it is placed, it is one job.
"""

from __future__ import annotations

import logging
import secrets
import time
from datetime import datetime

from batch_pipeline.batches.notices import notify
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.requests.orders import read_orders
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.turn import place
from batch_pipeline.errors import InvalidSelection, PipelineError
from batch_pipeline.ledger import schedules
from batch_pipeline.ledger.schedules import Schedule
from batch_pipeline.sources.repo_name import check_repo_name
from batch_pipeline.tasks.registry import load_tasks

log = logging.getLogger(__name__)

ORIGIN = "schedule"


def add_schedule(
    pipeline: Pipeline,
    task: str,
    hour: int,
    *,
    repo: str | None = None,
    most_records: int | None = None,
    order: str | None = None,
) -> Schedule:
    """A new schedule; where its hour is over for today, it begins tomorrow.

    Args:
        pipeline: The pipeline.
        task: The task's name.
        hour: Of the day, 0 to 23, in `TIMEZONE`.
        repo: Only this repository's records.
        most_records: A day's job has no more.
        order: Which ones come first; names of `orders.py`, separated by commas.

    Raises:
        UsageError: There is no such task, repository name or order.
    """
    found = load_tasks().get(task)
    if not 0 <= hour <= 23:
        raise InvalidSelection(f"An hour of the day is 0 to 23; {hour} is none.")
    now = datetime.now(pipeline.settings.tz)
    schedule = Schedule(
        schedule_id=f"{found.name}-{secrets.token_hex(4)}",
        task=found.name,
        hour=hour,
        repo=None if repo is None else check_repo_name(repo),
        most_records=most_records,
        order=None if order is None else list(read_orders(order)),
        created_at=time.time(),
        last_day=now.date().isoformat() if now.hour >= hour else None,
    )
    with pipeline.ledger.begin() as db:
        schedules.add(db, schedule)
    return schedule


def due_schedules(pipeline: Pipeline, now: datetime | None = None) -> list[Schedule]:
    """Those whose hour has come today, and that were not placed yet; none where nothing is to be sent."""
    if not pipeline.settings.enabled:
        return []
    local = (now or datetime.now(pipeline.settings.tz)).astimezone(pipeline.settings.tz)
    with pipeline.ledger.read() as db:
        return [one for one in schedules.every(db) if one.hour <= local.hour and (one.last_day or "") < _day(local)]


def place_due(pipeline: Pipeline, now: datetime | None = None) -> list[Schedule]:
    """Plans and sends what is due; one that can't be is tried again by the next call, and told once a day.

    Returns:
        Those that were placed, as they are now.
    """
    placed: list[Schedule] = []
    local = (now or datetime.now(pipeline.settings.tz)).astimezone(pipeline.settings.tz)
    for one in due_schedules(pipeline, local):
        day = _day(local)
        try:
            job = place(pipeline, _order(one, day)).job
        except PipelineError as error:
            _not_placed(pipeline, one, day, error)
            continue
        with pipeline.ledger.begin() as db:
            schedules.note(
                db, one.schedule_id, last_day=day, last_job_id=job.job_id if job.records else None, error=None
            )
        placed.append(one)
    return placed


def _order(one: Schedule, day: str) -> Order:
    selection = Selection(repo=one.repo, limit=one.most_records, order=None if one.order is None else tuple(one.order))
    metadata: dict[str, object] = {"origin": ORIGIN, "schedule": one.schedule_id}
    return Order(load_tasks().get(one.task), selection, key=f"{one.schedule_id}:{day}", metadata=metadata)


def _not_placed(pipeline: Pipeline, one: Schedule, day: str, error: PipelineError) -> None:
    text = f"Schedule {one.schedule_id} could not be placed: {error}"
    log.warning("%s", text)
    notify(pipeline, text, kind="schedule failed", key=f"schedule|{one.schedule_id}|{day}")
    with pipeline.ledger.begin() as db:
        schedules.note(db, one.schedule_id, error=str(error))


def _day(local: datetime) -> str:
    return local.date().isoformat()
