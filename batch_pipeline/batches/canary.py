"""A canary: a job over the first records of another one, which is sent when that has gone well.

Both are planned at once, and no process waits: the records that the canary has in flight are waited for as any other
job's, and what else the job has to send is not admitted until the canary is through and good. Good is: enough of its
records were answered, and the whole job, at what the canary cost, keeps to its budget. A bad one stops the job, with
the reason, until a person sends it all the same or cancels it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batch_pipeline.batches.money.admission import Waits, in_usd, job_budget
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import outcomes_of
from batch_pipeline.errors import UsageError
from batch_pipeline.ledger import batches, events, fingerprints, jobs
from batch_pipeline.ledger.jobs import CANARY, Job
from batch_pipeline.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from batch_pipeline.batches.plan import Order

MIN_ANSWERED = "canary_min_answered"
"""In the metadata of a job that has a canary: the share of the canary's records that must be answered."""
DESPITE = "despite_canary"
"""The same: a person sends it, whatever came of the canary."""
PASSED = "canary_passed"
"""The same: what was seen when it was let go."""
FIRST = "canary"
"""How the reason begins that a job waits for its canary with."""
EXAMPLE = 200
"""Characters of an error that are shown."""


def canary_order(order: Order, records: int, whole: Job) -> Order:
    """The order of the canary: the first records of the job that it is for, under a key that follows from that's."""
    limit = min(records, records if order.selection.limit is None else order.selection.limit)
    return replace(
        order,
        selection=replace(order.selection, limit=limit),
        key=f"{order.key}-canary",
        canary=None,
        metadata={**order.metadata, jobs.CANARY_FOR: whole.job_id},
    )


def after(whole: Job, canary: Job, min_answered: float) -> Job:
    """The job, to be planned, with its canary, under the id that this knows it by; one without records is none."""
    if not canary.records:
        return whole
    job_id = str(canary.metadata[jobs.CANARY_FOR])
    more = {CANARY: canary.job_id, MIN_ANSWERED: min_answered}
    return replace(whole, job_id=job_id, root_job_id=job_id, metadata={**whole.metadata, **more})


def held_by_canary(db: Connection, settings: Settings, job: Job) -> Waits | None:
    """Why the job is not sent yet, or not at all; asked in the transaction of a claim. Attempts follow their job."""
    if job.canary is None or job.attempt > 1 or {DESPITE, PASSED} & job.metadata.keys():
        return None
    seen = _seen(db, settings, job, job.canary)
    if seen is None:
        return Waits("canary", f"{FIRST} {job.canary} goes first: it is sent when enough of that is answered")
    if seen.wrong:
        despite = f"send it all the same with `batch-pipeline collect {job.job_id} --despite-canary`"
        way_out = (
            f"`batch-pipeline details {job.canary}` shows more; {despite}, or `batch-pipeline cancel {job.job_id}`"
        )
        return Waits("stopped", f"stopped by its canary: {'; '.join(seen.wrong)}. {way_out}", "; ".join(seen.told))
    jobs.note(db, job.root_job_id, {PASSED: "; ".join(seen.told)})
    events.record(db, "canary passed", job.job_id, canary=job.canary, seen="; ".join(seen.told))
    return None


def despite_canary(pipeline: Pipeline, job_id: str) -> None:
    """Whatever its canary came to, the next turn sends the job.

    Raises:
        UnknownJob: There is no job of that id.
        UsageError: It has no canary.
    """
    with pipeline.ledger.begin() as db:
        job = jobs.get(db, jobs.get(db, job_id).root_job_id)
        if job.canary is None:
            raise UsageError(f"Job `{job.job_id}` has no canary: leave --despite-canary away.")
        if DESPITE not in job.metadata:
            jobs.note(db, job.job_id, {DESPITE: True})
            batches.wake(db, job.canary)
            events.record(db, "sent despite its canary", job.job_id, canary=job.canary)


@dataclass(frozen=True)
class _Seen:
    """What a canary came to: in words, and those that are bad; they may quote an answer, which the log must not."""

    told: Sequence[str]
    wrong: Sequence[str]


def _seen(db: Connection, settings: Settings, job: Job, canary_id: str) -> _Seen | None:
    """None while the canary, with its attempts, is not through."""
    chain = jobs.attempts(db, canary_id)
    if not chain:
        unknown = f"{canary_id} is not known here"
        return _Seen([unknown], [unknown])
    if any(attempt.closed_at is None for attempt in chain):
        return None
    share, answered_enough = _share(db, job, chain)
    cost, cheap_enough = _cost(db, settings, job, chain)
    wrong = [] if answered_enough else [share + _example(db, chain)]
    return _Seen([share, cost], wrong + ([] if cheap_enough else [cost]))


def _share(db: Connection, job: Job, chain: Sequence[Job]) -> tuple[str, bool]:
    outcomes = outcomes_of(chain, batches.of_jobs(db, [attempt.job_id for attempt in chain]))
    answered, records = outcomes.get("answered", 0), chain[0].records
    least = float(str(job.metadata.get(MIN_ANSWERED, 0)))
    others = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items() if outcome != "answered")
    told = f"{answered:,} of its {records:,} records are answered{f' ({others})' if others else ''}"
    return f"{told}, and {least:.0%} must be", answered >= least * records


def _cost(db: Connection, settings: Settings, job: Job, chain: Sequence[Job]) -> tuple[str, bool]:
    rows = batches.of_jobs(db, [attempt.job_id for attempt in chain])
    paid, asked = sum(row.cost_usd or 0.0 for row in rows), chain[0].requests
    projected = paid + (paid / asked * job.requests if asked else 0.0)
    most = job_budget(settings, job)
    told = f"it cost {in_usd(paid)}, with which all of it comes to {in_usd(projected)}"
    if most is None:
        return told, True
    return f"{told}, and the job may spend {in_usd(most)}", projected <= most


def _example(db: Connection, chain: Sequence[Job]) -> str:
    reason = fingerprints.a_reason(db, [attempt.job_id for attempt in chain])
    return f", for example: {' '.join(reason.split())[:EXAMPLE]}" if reason else ""
