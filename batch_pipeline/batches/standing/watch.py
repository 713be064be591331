"""Watch: how far each batch of a job is, how old, how dear, and when it may be expected to end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import BatchState, JobStatus
from batch_pipeline.ledger import batches, jobs


@dataclass(frozen=True)
class Watched:
    """One batch. Times are unix seconds, money is USD.

    `done` of `requests` are through at the provider. `cost_usd` is what was settled; before that, the share of the
    estimate that is through, and `settled` False. `ends_at` is expected from the provider's own progress: None where
    it has none yet, or all.
    """

    batch_id: str
    state: BatchState
    remote_status: str | None
    done: int
    requests: int
    submitted_at: float | None
    ended_at: float | None
    input_tokens: int
    cost_usd: float
    settled: bool
    ends_at: float | None
    waits_for: str | None

    def age(self, now: float) -> float | None:
        """Seconds at the provider, until its end or now; None for what is not sent."""
        return None if self.submitted_at is None else max(0.0, (self.ended_at or now) - self.submitted_at)


def watched(pipeline: Pipeline, job: JobStatus) -> list[Watched]:
    """The batches of a job and its attempts, as the ledger has them."""
    with pipeline.ledger.read() as db:
        chain = [attempt.job_id for attempt in jobs.attempts(db, job.job_id)]
        rows = {row.batch_id: row for found in batches.by_job(db, chain).values() for row in found}
    now = time.time()
    found: list[Watched] = []
    for batch in job.batches:
        row = rows[batch.batch_id]
        share = batch.completed / batch.total if batch.total else 0.0
        sent = row.submitted_at if batch.state == "submitted" else None
        found.append(
            Watched(
                batch_id=batch.batch_id,
                state=batch.state,
                remote_status=batch.remote_status,
                done=batch.completed,
                requests=batch.total,
                submitted_at=row.submitted_at,
                ended_at=row.ended_at,
                input_tokens=row.input_tokens,
                cost_usd=row.estimate_usd * share if row.cost_usd is None else row.cost_usd,
                settled=row.cost_usd is not None,
                ends_at=expected_end(sent, now, share, row.expires_at),
                waits_for=batch.waits_for,
            )
        )
    return found


def expected_end(submitted_at: float | None, now: float, share: float, expires_at: float | None) -> float | None:
    """When a batch ends that goes on as it went so far; no later than the provider gives it up.

    Args:
        submitted_at: When it was sent; None where it is not at the provider.
        now: The time.
        share: How much of it is through, 0 to 1.
        expires_at: The end of its window.
    """
    if submitted_at is None or not 0 < share < 1:
        return None
    end = now + max(0.0, now - submitted_at) * (1 - share) / share
    return end if expires_at is None else min(end, max(now, expires_at))


def end_of_all(found: Sequence[Watched]) -> float | None:
    """When the last of them is expected to end; None where one says nothing yet."""
    open_ = [each for each in found if each.ended_at is None and each.state != "held"]
    ends = [each.ends_at for each in open_]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None
