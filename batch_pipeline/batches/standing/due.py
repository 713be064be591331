"""What is due: the jobs that have something to send, to collect, or to close. Reads the ledger only.

`poll` says what the provider has ended, `due` what that leaves to do; a collection needs the warehouse, so whoever
polls need not be the one who collects.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, exists, func, or_, select

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger import events
from batch_pipeline.ledger.jobs import CANARY_FOR, Job
from batch_pipeline.ledger.rows import chunked, row_of
from batch_pipeline.ledger.tables import batches, inflight, jobs, sends, waits
from batch_pipeline.ledger.tables import events as event_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

GRACE_SECONDS = 60.0
"""How long whoever has planned a job is left to send it, before another process does."""


ASSET = "asset"
"""In a job's metadata: the asset that it was made for; none in one that was made outside Dagster."""
REPORTED = "reported"
"""The event that says that a job's asset knows that it is through."""


@dataclass(frozen=True)
class Due:
    """Jobs (never attempts) that something can be done for now, the oldest first.

    `to_send`: batches that were never created and may go. `to_collect`: batches that have ended, answers to hand
    over, or an attempt or the job's end that follows from what is collected; and jobs of an asset that are through
    without the asset knowing, because its run died, or because somebody else collected them. `last_closed`: when a
    job last came to its end.
    """

    to_send: tuple[Job, ...]
    to_collect: tuple[Job, ...]
    last_closed: float


def due(pipeline: Pipeline) -> Due:
    """What can be done now."""
    now, enabled = time.time(), pipeline.settings.enabled
    with pipeline.ledger.read() as db:
        to_collect = {*_ended(db, now), *_to_hand_over(db), *(_through(db) if enabled else ()), *_unreported(db)}
        to_send = _to_send(db, now) if enabled else set[str]()
        last_closed = db.scalar(select(func.max(jobs.c.closed_at))) or 0.0
        return Due(_jobs(db, to_send), _jobs(db, to_collect), last_closed)


def came_so_far(pipeline: Pipeline, jobs_: Iterable[Job]) -> dict[str, int]:
    """How far each job has come, as a number that grows: attempts, batches created, and batches collected."""
    wanted = jobs.c.root_job_id.in_([job.job_id for job in jobs_])
    created = sends.c.remote_id.is_not(None)
    of_batches = jobs.join(batches, batches.c.job_id == jobs.c.job_id)
    counts = (
        select(jobs.c.root_job_id, func.count()).where(wanted),
        select(jobs.c.root_job_id, func.count(batches.c.collected_at)).select_from(of_batches).where(wanted),
        select(jobs.c.root_job_id, func.count()).select_from(of_batches.join(sends)).where(wanted, created),
    )
    so_far: dict[str, int] = {}
    with pipeline.ledger.read() as db:
        for count in counts:
            for root, number in db.execute(count.group_by(jobs.c.root_job_id)):
                so_far[root] = so_far.get(root, 0) + number
    return so_far


def past_window(pipeline: Pipeline) -> dict[str, list[str]]:
    """The batches that the provider still has after the time it gave itself, by task."""
    late = batches.c.submitted_at.is_not(None) & batches.c.ended_at.is_(None) & (batches.c.expires_at < time.time())
    found: dict[str, list[str]] = {}
    with pipeline.ledger.read() as db:
        rows = db.execute(select(jobs.c.task, batches.c.batch_id).join(jobs).where(late).order_by(batches.c.batch_id))
        for task, batch_id in rows:
            found.setdefault(task, []).append(batch_id)
    return found


def note_reported(db: Connection, root_job_ids: Iterable[str]) -> None:
    """These are through, and their asset knows."""
    for job_id in root_job_ids:
        events.record(db, REPORTED, job_id)


def _to_send(db: Connection, now: float) -> set[str]:
    """Batches with no send that brought them to a remote id; a held one waits for a person."""
    of_batch = sends.c.batch_id == batches.c.batch_id
    there = exists().where(
        of_batch, or_(sends.c.held.is_not(None), sends.c.remote_id.is_not(None)), sends.c.end.is_(None)
    )
    may_go = func.coalesce(batches.c.wait_until, jobs.c.planned_at + GRACE_SECONDS) <= now
    return _roots(
        db,
        jobs.c.planned_at.is_not(None),
        jobs.c.cancel_asked_at.is_(None),
        batches.c.ended_at.is_(None),
        batches.c.collected_at.is_(None),
        batches.c.cancel_asked_at.is_(None),
        ~there,
        may_go,
    )


def _ended(db: Connection, now: float) -> set[str]:
    look_now = or_(batches.c.recheck_at.is_(None), batches.c.recheck_at <= now)
    return _roots(db, batches.c.ended_at.is_not(None), batches.c.collected_at.is_(None), look_now)


def _roots(db: Connection, *conditions: ColumnElement[bool]) -> set[str]:
    return set(db.scalars(select(jobs.c.root_job_id).join(batches).where(*conditions).distinct()))


_UNCOLLECTED = exists().where(batches.c.job_id == jobs.c.job_id, batches.c.collected_at.is_(None))


def _to_hand_over(db: Connection) -> set[str]:
    """Jobs whose shared records can be given their answers; one that shares none is through with its batches."""
    awaited = exists().where(waits.c.job_id == jobs.c.job_id, waits.c.fingerprint == inflight.c.fingerprint)
    shared = jobs.c.reused + jobs.c.waiting + jobs.c.unsendable
    open_ = jobs.c.planned_at.is_not(None) & jobs.c.shared_at.is_(None)
    return set(db.scalars(select(jobs.c.root_job_id).where(open_, ~awaited, or_(shared > 0, ~_UNCOLLECTED)).distinct()))


def _through(db: Connection) -> set[str]:
    """Jobs that wait for their next attempt, or to be closed."""
    under_way = or_(jobs.c.planned_at.is_(None), jobs.c.shared_at.is_(None), _UNCOLLECTED)
    not_through = select(jobs.c.root_job_id).where(under_way)
    wanted = select(jobs.c.root_job_id).where(jobs.c.closed_at.is_(None), jobs.c.root_job_id.not_in(not_through))
    return set(db.scalars(wanted.distinct()))


def _unreported(db: Connection) -> set[str]:
    told = exists().where(
        event_rows.c.job_id == jobs.c.job_id, event_rows.c.event == REPORTED, event_rows.c.at >= jobs.c.closed_at
    )
    of_asset = jobs.c.metadata[ASSET].as_string().is_not(None) & jobs.c.metadata[CANARY_FOR].as_string().is_(None)
    return set(
        db.scalars(select(jobs.c.job_id).where(jobs.c.closed_at.is_not(None), jobs.c.attempt == 1, of_asset, ~told))
    )


def _jobs(db: Connection, roots: set[str]) -> tuple[Job, ...]:
    found: list[Job] = []
    for chunk in chunked(sorted(roots)):
        rows = db.execute(select(jobs).where(jobs.c.job_id.in_(chunk))).mappings()
        found += [row_of(Job, row) for row in rows]
    return tuple(sorted(found, key=lambda job: (job.created_at, job.job_id)))
