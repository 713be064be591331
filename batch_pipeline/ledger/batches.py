"""Batches: one uploaded file each, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, func, insert, select, update

from batch_pipeline.ledger.jobs import CANARY, Counts
from batch_pipeline.ledger.rows import chunked, compare_and_set, row_of
from batch_pipeline.ledger.sends import CAME_TO_NOTHING
from batch_pipeline.ledger.tables import batches, jobs, sends


@dataclass(frozen=True)
class Batch:
    """A row of `batches`; its columns are described in `tables.py`."""

    batch_id: str
    job_id: str
    number: int
    sha256: str
    bytes: int
    requests: int
    records: int
    input_tokens: int
    estimate_usd: float
    bound_usd: float
    wait_kind: str | None = None
    wait_reason: str | None = None
    wait_until: float | None = None
    cancel_asked_at: float | None = None
    remote_status: str | None = None
    completed: int = 0
    failed: int = 0
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    usage: dict[str, object] | None = None
    errors: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    submitted_at: float | None = None
    expires_at: float | None = None
    ended_at: float | None = None
    recheck_at: float | None = None
    collected_at: float | None = None
    outcomes: Counts = field(default_factory=Counts)
    request_outcomes: Counts = field(default_factory=Counts)
    cost_usd: float | None = None
    error_message: str | None = None


def add(db: Connection, rows: Iterable[Batch]) -> None:
    """Writes the batches of a plan."""
    values = [asdict(row) for row in rows]
    if values:
        db.execute(insert(batches), values)


def get(db: Connection, batch_id: str) -> Batch:
    """The batch of that id."""
    return row_of(Batch, db.execute(select(batches).where(batches.c.batch_id == batch_id)).mappings().one())


def exists(db: Connection, batch_id: str) -> bool:
    """Whether there is a batch of that id."""
    return db.execute(select(batches.c.batch_id).where(batches.c.batch_id == batch_id)).first() is not None


def of_jobs(db: Connection, job_ids: Sequence[str]) -> list[Batch]:
    """The batches of these jobs, in the order of their numbers."""
    rows = select(batches).where(batches.c.job_id.in_(job_ids)).order_by(batches.c.job_id, batches.c.number)
    return [row_of(Batch, row) for row in db.execute(rows).mappings()]


def of_job(db: Connection, job_id: str) -> list[Batch]:
    """The batches of one job, in the order of their numbers."""
    return of_jobs(db, [job_id])


def not_collected(db: Connection, job_id: str) -> tuple[int, int]:
    """How many of the job's batches are not collected, and how many of these can't be yet."""
    open_ = (batches.c.job_id == job_id) & batches.c.collected_at.is_(None)
    not_yet = batches.c.ended_at.is_(None) | batches.c.recheck_at.is_not(None)
    counted = select(func.count(), func.count().filter(not_yet)).where(open_)
    left, later = db.execute(counted).one()
    return left, later


def by_job(db: Connection, job_ids: Sequence[str]) -> dict[str, list[Batch]]:
    """The batches of these jobs, by job, in the order of their numbers."""
    found: dict[str, list[Batch]] = {}
    for chunk in chunked(job_ids):
        for batch in of_jobs(db, chunk):
            found.setdefault(batch.job_id, []).append(batch)
    return found


def held_back(db: Connection) -> list[str]:
    """Ids of the batches that a budget or the capacity holds back, in the order in which they are let go."""
    rows = (
        select(batches.c.batch_id)
        .join(jobs, jobs.c.job_id == batches.c.job_id)
        .where(batches.c.wait_kind.in_(["budget", "capacity"]), batches.c.ended_at.is_(None))
        .order_by(jobs.c.planned_at, batches.c.job_id, batches.c.number)
    )
    return list(db.scalars(rows))


def wake(db: Connection, canary: str) -> None:
    """What waits for this canary is due now."""
    after = select(jobs.c.job_id).where(jobs.c.metadata[CANARY].as_string() == canary)
    held = batches.c.job_id.in_(after) & batches.c.wait_kind.in_(["canary", "stopped"])
    db.execute(update(batches).where(held).values(wait_until=time.time()))


def write(db: Connection, batch: Batch, **values: object) -> Batch | None:
    """Changes the row if it still is `batch`; None if somebody else moved it."""
    return compare_and_set(db, batches, batch, **values)


def in_flight(db: Connection, provider: str, account: str) -> list[tuple[Batch, str]]:
    """What the provider has and has not ended, with its remote id, the oldest first."""
    rows = db.execute(
        select(batches, sends.c.remote_id)
        .join(sends, (sends.c.batch_id == batches.c.batch_id) & sends.c.remote_id.is_not(None) & sends.c.end.is_(None))
        .join(jobs, jobs.c.job_id == batches.c.job_id)
        .where(jobs.c.provider == provider, sends.c.account == account, batches.c.ended_at.is_(None))
        .order_by(batches.c.submitted_at, batches.c.batch_id)
    ).mappings()
    return [(row_of(Batch, row), str(row["remote_id"])) for row in rows]


@dataclass(frozen=True)
class Remote:
    """A batch that the provider has, and whose it is there."""

    batch: Batch
    provider: str
    account: str


def of_remote(db: Connection, remote_id: str) -> Remote | None:
    """The batch that the provider knows by that id, where it is ours and has not ended."""
    row = (
        db.execute(
            select(batches, jobs.c.provider, sends.c.account)
            .join(sends, (sends.c.batch_id == batches.c.batch_id) & (sends.c.remote_id == remote_id))
            .join(jobs, jobs.c.job_id == batches.c.job_id)
            .where(sends.c.end.is_(None), batches.c.ended_at.is_(None))
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else Remote(row_of(Batch, row), str(row["provider"]), str(row["account"]))


def to_cancel(db: Connection, provider: str) -> bool:
    """Whether the provider has a batch that is to be cancelled, and was not asked to yet."""
    asked = batches.c.cancel_asked_at.is_not(None) & batches.c.ended_at.is_(None)
    not_yet = func.coalesce(batches.c.remote_status, "").not_in(["cancelling", "cancelled"])
    rows = select(batches.c.batch_id).join(jobs, jobs.c.job_id == batches.c.job_id)
    return db.execute(rows.where(asked, not_yet, jobs.c.provider == provider)).first() is not None


def not_created(db: Connection, provider: str, job_ids: Sequence[str] | None = None) -> list[str]:
    """Ids of batches that no send has brought to a remote id, in the order in which they were planned."""
    created = (
        select(sends.c.batch_id)
        .where(
            sends.c.batch_id == batches.c.batch_id,
            sends.c.remote_id.is_not(None),
            sends.c.end.is_(None) | sends.c.end.not_in(CAME_TO_NOTHING),
        )
        .exists()
    )
    wanted = (
        select(batches.c.batch_id)
        .join(jobs, jobs.c.job_id == batches.c.job_id)
        .where(~created, batches.c.ended_at.is_(None), batches.c.collected_at.is_(None), jobs.c.provider == provider)
        .order_by(jobs.c.planned_at, batches.c.job_id, batches.c.number)
    )
    if job_ids is not None:
        wanted = wanted.where(batches.c.job_id.in_(job_ids))
    return list(db.scalars(wanted))
