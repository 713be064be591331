"""Jobs by the partition that they were made for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from batch_pipeline.ledger.jobs import CANARY, CANARY_FOR
from batch_pipeline.ledger.tables import jobs


@dataclass(frozen=True)
class Placed:
    """A job or an attempt, the partition that it is for, and its prompt's variant; None where its task has none.

    `canary` goes before it; `is_canary`: it goes before another one.
    """

    job_id: str
    root_job_id: str
    partition_key: str | None
    closed: bool
    bound_usd: float
    variant: str | None
    canary: str | None
    is_canary: bool


def of_task(db: Connection, task: str) -> list[Placed]:
    """The planned jobs and attempts of a task, the oldest first."""
    mine = (jobs.c.task == task) & jobs.c.planned_at.is_not(None)
    return [Placed(*row) for row in db.execute(_PLACED.where(mine).order_by(jobs.c.created_at, jobs.c.attempt))]


def of_roots(db: Connection, root_job_ids: Iterable[str]) -> list[Placed]:
    """These jobs with their attempts, attempts in order."""
    wanted = _PLACED.where(jobs.c.root_job_id.in_(list(root_job_ids))).order_by(jobs.c.root_job_id, jobs.c.attempt)
    return [Placed(*row) for row in db.execute(wanted)]


_PLACED = select(
    jobs.c.job_id,
    jobs.c.root_job_id,
    jobs.c.partition_key,
    jobs.c.closed_at.is_not(None),
    jobs.c.bound_usd,
    jobs.c.selection["variant"].as_string(),
    jobs.c.metadata[CANARY].as_string(),
    jobs.c.metadata[CANARY_FOR].as_string().is_not(None),
)
