"""Jobs: what was asked for, by whom, and how its plan came out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import cast

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from batch_pipeline.errors import PlanSuperseded, UnknownJob
from batch_pipeline.ledger import fingerprints
from batch_pipeline.ledger.rows import chunked, row_of
from batch_pipeline.ledger.tables import jobs, waits
from batch_pipeline.settings import ProviderName

Counts = dict[str, int]

MODE = "mode"
"""In a job's metadata, where it is not answered in batches: how it is; its snapshot says so too."""
CANARY, CANARY_FOR = "canary", "canary_for"
"""In a job's metadata: the job that goes before it; in that one's, the job that it goes before."""
META = "meta"
"""In a job's metadata: what whoever asked for it wants to find there, texts by name."""
ORDER = "order"
"""The same: it was kept to be planned later, by whoever comes; what its order has beside the job's own columns."""

_FIGURES = {
    *("planned_at", "selected", "skipped", "given_up", "records", "requests", "reused", "waiting", "unsendable"),
    *("input_tokens", "estimate_usd", "bound_usd", "taken"),
}


@dataclass(frozen=True)
class Job:
    """A row of `jobs`; its columns are described in `tables.py`."""

    job_id: str
    key: str
    root_job_id: str
    task: str
    provider: ProviderName
    model: str
    snapshot: str
    attempt: int = 1
    job_type: str = "task"
    partition_key: str | None = None
    selection: dict[str, object] = field(default_factory=dict[str, object])
    planner: str | None = None
    created_at: float = 0.0
    planned_at: float | None = None
    selected: int = 0
    skipped: int = 0
    given_up: int = 0
    records: int = 0
    requests: int = 0
    reused: int = 0
    waiting: int = 0
    unsendable: int = 0
    input_tokens: int = 0
    estimate_usd: float = 0.0
    bound_usd: float = 0.0
    taken: Counts = field(default_factory=Counts)
    shared_at: float | None = None
    shared_outcomes: Counts = field(default_factory=Counts)
    closed_at: float | None = None
    cancel_asked_at: float | None = None
    error_message: str | None = None
    metadata: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def shared(self) -> int:
        """Records that no batch of this job answers: reused, waited for, or too large to send."""
        return self.reused + self.waiting + self.unsendable

    @property
    def at_once(self) -> bool:
        """Answered request by request, and not in batches."""
        return MODE in self.metadata

    @property
    def to_be_planned(self) -> bool:
        """It was kept as an order, and is not planned yet: whoever comes plans it, and nobody forgets it."""
        return self.planned_at is None and self.attempt == 1 and ORDER in self.metadata

    @property
    def meta(self) -> dict[str, str]:
        """What whoever asked for it wants to find there."""
        found = self.metadata.get(META)
        return cast("dict[str, str]", found) if isinstance(found, dict) else {}

    @property
    def canary(self) -> str | None:
        """The job over its first records that goes before it."""
        found = self.metadata.get(CANARY)
        return found if isinstance(found, str) else None


def open_job(db: Connection, job: Job) -> Job:
    """The job of `job.key`: the one that is there, or `job`, now written."""
    known = find(db, job.key)
    if known is None:
        db.execute(insert(jobs).values(asdict(job)))
    return known or job


def restore(db: Connection, job: Job) -> bool:
    """Writes a job in again, as its folder tells it; False where it is there.

    A ledger from before the commit of the job's plan has it as one that is being planned: the folder knows better.
    """
    if db.execute(delete(jobs).where(jobs.c.job_id == job.job_id, jobs.c.planned_at.is_(None))).rowcount:
        release(db, job.job_id)
    known = select(jobs.c.job_id).where((jobs.c.job_id == job.job_id) | (jobs.c.key == job.key))
    if db.execute(known).first() is not None:
        return False
    db.execute(insert(jobs).values(asdict(job)))
    return True


def planned(db: Connection, job_id: str) -> bool:
    """Whether there is a job of that id, and its plan is committed."""
    found = select(jobs.c.job_id).where(jobs.c.job_id == job_id, jobs.c.planned_at.is_not(None))
    return db.execute(found).first() is not None


def find(db: Connection, key: str) -> Job | None:
    """The job of that key."""
    row = db.execute(select(jobs).where(jobs.c.key == key)).mappings().one_or_none()
    return row_of(Job, row) if row else None


def get(db: Connection, job_id: str) -> Job:
    """The job of that id.

    Raises:
        UnknownJob: There is none.
    """
    row = db.execute(select(jobs).where(jobs.c.job_id == job_id)).mappings().one_or_none()
    if row is None:
        raise UnknownJob(f"There is no job `{job_id}`. `batch-pipeline list` shows the jobs that are.")
    return row_of(Job, row)


def newest(db: Connection, limit: int | None = None) -> list[Job]:
    """Jobs without their attempts, the newest first."""
    roots = select(jobs).where(jobs.c.attempt == 1).order_by(jobs.c.created_at.desc(), jobs.c.job_id).limit(limit)
    return [row_of(Job, row) for row in db.execute(roots).mappings()]


@dataclass(frozen=True)
class Wanted:
    """Which jobs; what is None, or empty, does not narrow. `before`: those after this one, in `newest`'s order."""

    task: str | None = None
    job_type: str | None = None
    meta: Mapping[str, str] = field(default_factory=dict[str, str])
    before: tuple[float, str] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """As SQL."""
        found = [jobs.c.attempt == 1]
        if self.task is not None:
            found.append(jobs.c.task == self.task)
        if self.job_type is not None:
            found.append(jobs.c.job_type == self.job_type)
        for name, value in self.meta.items():
            found.append(jobs.c.metadata[(META, name)].as_string() == value)
        if self.before is not None:
            at, job_id = self.before
            found.append((jobs.c.created_at < at) | ((jobs.c.created_at == at) & (jobs.c.job_id > job_id)))
        return found


def newest_of(db: Connection, wanted: Wanted, limit: int) -> list[Job]:
    """Those of the jobs, without their attempts, the newest first."""
    rows = select(jobs).where(*wanted.conditions()).order_by(jobs.c.created_at.desc(), jobs.c.job_id).limit(limit)
    return [row_of(Job, row) for row in db.execute(rows).mappings()]


def attempts(db: Connection, root_job_id: str) -> list[Job]:
    """A job and its attempts, in order; `[-1]` is the one that is under way."""
    chain = select(jobs).where(jobs.c.root_job_id == root_job_id).order_by(jobs.c.attempt)
    return [row_of(Job, row) for row in db.execute(chain).mappings()]


def chains(db: Connection, root_job_ids: Sequence[str]) -> dict[str, list[Job]]:
    """Each of these jobs with its attempts, in order."""
    found: dict[str, list[Job]] = {root_job_id: [] for root_job_id in root_job_ids}
    for chunk in chunked(root_job_ids):
        rows = db.execute(select(jobs).where(jobs.c.root_job_id.in_(chunk)).order_by(jobs.c.attempt)).mappings()
        for job in (row_of(Job, row) for row in rows):
            found[job.root_job_id].append(job)
    return found


def not_closed(db: Connection) -> list[Job]:
    """Jobs and attempts for which something may still happen, the oldest first."""
    rows = db.execute(select(jobs).where(jobs.c.closed_at.is_(None)).order_by(jobs.c.created_at, jobs.c.job_id))
    return [row_of(Job, row) for row in rows.mappings()]


def unplanned(db: Connection) -> list[Job]:
    """Jobs and attempts that are being planned, or are to be, the oldest first."""
    rows = db.execute(select(jobs).where(jobs.c.planned_at.is_(None)).order_by(jobs.c.created_at, jobs.c.job_id))
    return [row_of(Job, row) for row in rows.mappings()]


def closed_before(db: Connection, before: float) -> list[Job]:
    """Jobs and attempts for which nothing more was sent since then (unix seconds)."""
    rows = db.execute(select(jobs).where(jobs.c.closed_at < before).order_by(jobs.c.created_at, jobs.c.job_id))
    return [row_of(Job, row) for row in rows.mappings()]


def plan_as(db: Connection, job: Job, wanted: Job) -> Job:
    """A job that was kept to be planned, now with what its plan goes by: the task as it is by now, and its canary."""
    now = {"snapshot": wanted.snapshot, "metadata": {**job.metadata, **wanted.metadata}}
    db.execute(update(jobs).where(jobs.c.job_id == job.job_id, jobs.c.planned_at.is_(None)).values(now))
    return replace(job, snapshot=wanted.snapshot, metadata=now["metadata"])


def begin_plan(db: Connection, job: Job, planner: str) -> Job:
    """Makes `planner` the one whose plan counts, and lets go what an earlier one had taken.

    Raises:
        PlanSuperseded: The job has been planned meanwhile.
    """
    taken = db.execute(
        update(jobs).where(jobs.c.job_id == job.job_id, jobs.c.planned_at.is_(None)).values(planner=planner)
    ).rowcount
    if not taken:
        raise PlanSuperseded(f"Job `{job.job_id}` has been planned by another process.")
    release(db, job.job_id)
    return replace(job, planner=planner)


def must_be_planner(db: Connection, job_id: str, planner: str) -> None:
    """Inside the transaction of a write that only the present planner may do.

    Raises:
        PlanSuperseded: Another process plans this job now.
    """
    mine = select(jobs.c.job_id).where(jobs.c.job_id == job_id, jobs.c.planner == planner, jobs.c.planned_at.is_(None))
    if db.execute(mine.with_for_update()).first() is None:
        raise PlanSuperseded(f"Another process plans job `{job_id}` now.")


def commit_plan(db: Connection, planned: Job) -> None:
    """Writes the plan's figures; from here on the job is planned, and its plan is not rewritten.

    Only these: whoever asked for the job to be cancelled while it was planned has asked for it.
    """
    must_be_planner(db, planned.job_id, planned.planner or "")
    figures = {name: value for name, value in asdict(planned).items() if name in _FIGURES}
    db.execute(update(jobs).where(jobs.c.job_id == planned.job_id).values(figures))


def discard(db: Connection, job: Job) -> bool:
    """Forgets a job that was never planned: nothing was sent, and what it had taken is free; False if it was.

    One that was kept as an order is not forgotten: it is as it was before it was begun to be planned.
    """
    not_planned = _planned_by(job)
    gone = (
        update(jobs).where(not_planned).values(planner=None) if job.to_be_planned else delete(jobs).where(not_planned)
    )
    discarded = bool(db.execute(gone).rowcount)
    if discarded:
        release(db, job.job_id)
    return discarded


def close_unplanned(db: Connection, job: Job, error: str | None = None) -> bool:
    """Ends a job that was kept as an order, and has nothing to send: nothing was to do, or it can't be planned.

    False if it was planned meanwhile, or begun to be planned by somebody else.
    """
    now, figures = time.time(), {name: value for name, value in asdict(job).items() if name in _FIGURES}
    ends = dict.fromkeys(("planned_at", "shared_at", "closed_at"), now)
    closed = bool(
        db.execute(update(jobs).where(_planned_by(job)).values(figures | ends | {"error_message": error})).rowcount
    )
    if closed:
        release(db, job.job_id)
    return closed


def _planned_by(job: Job) -> ColumnElement[bool]:
    return (jobs.c.job_id == job.job_id) & jobs.c.planned_at.is_(None) & (jobs.c.planner == job.planner)


def release(db: Connection, job_id: str) -> None:
    """Lets go every fingerprint that the job holds or waits for."""
    fingerprints.free_all(db, job_id)
    db.execute(delete(waits).where(waits.c.job_id == job_id))


def set_shared(db: Connection, job_id: str, outcomes: Counts) -> bool:
    """What no batch of this job answers has been handed over, with these outcomes; False if it had been before."""
    db.execute(delete(waits).where(waits.c.job_id == job_id))
    first = jobs.c.shared_at.is_(None) & (jobs.c.job_id == job_id)
    return bool(db.execute(update(jobs).where(first).values(shared_at=time.time(), shared_outcomes=outcomes)).rowcount)


def close(db: Connection, root_job_id: str) -> bool:
    """Nothing more will be sent for this job, nor for its attempts; False if that was so."""
    still_open = (jobs.c.root_job_id == root_job_id) & jobs.c.closed_at.is_(None)
    return bool(db.execute(update(jobs).where(still_open).values(closed_at=time.time())).rowcount)


def reopen(db: Connection, root_job_id: str) -> None:
    """A person asks for what was given up to be tried again."""
    db.execute(update(jobs).where(jobs.c.root_job_id == root_job_id).values(closed_at=None, cancel_asked_at=None))


def set_budget(db: Connection, root_job_id: str, usd: float) -> None:
    """What the job and its attempts may spend from now on."""
    note(db, root_job_id, {"budget_usd": usd})


def note(db: Connection, root_job_id: str, metadata: Mapping[str, object]) -> None:
    """Keeps this too of the job and its attempts."""
    for job in attempts(db, root_job_id):
        db.execute(update(jobs).where(jobs.c.job_id == job.job_id).values(metadata={**job.metadata, **metadata}))


def ask_cancel(db: Connection, root_job_id: str) -> bool:
    """Flags the job and its attempts; False if that was done, or nothing is left to cancel."""
    still_open = (jobs.c.root_job_id == root_job_id) & jobs.c.closed_at.is_(None) & jobs.c.cancel_asked_at.is_(None)
    return bool(db.execute(update(jobs).where(still_open).values(cancel_asked_at=time.time())).rowcount)
