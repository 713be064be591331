"""Cancel: what is planned is not sent, what is in flight is asked back, and what was done is collected."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.ledger import batches, events, jobs, sends
from batch_pipeline.ledger.batches import Batch

if TYPE_CHECKING:
    from sqlalchemy import Connection


def cancel(pipeline: Pipeline, job_id: str) -> None:
    """Asks for a job and its attempts to be cancelled; the next turns do it and collect what there is.

    Raises:
        UnknownJob: There is no job of that id.
    """
    with pipeline.ledger.begin() as db:
        root_job_id = jobs.get(db, job_id).root_job_id
        if not jobs.ask_cancel(db, root_job_id):
            return
        events.record(db, "cancel asked", root_job_id)
        chain = [job.job_id for job in jobs.attempts(db, root_job_id)]
        for batch in batches.of_jobs(db, chain):
            if batch.ended_at is None:
                cancel_batch(db, batch)
    reach("cancel.flagged")


def cancel_asked(db: Connection, batch: Batch) -> bool:
    """Whether somebody asked for the batch, or its job, to be cancelled; as the rows are now."""
    asked = batches.get(db, batch.batch_id).cancel_asked_at or jobs.get(db, batch.job_id).cancel_asked_at
    return asked is not None


def cancel_batch(db: Connection, batch: Batch) -> None:
    """One that was never posted ends here; one that may be at the provider is flagged, and polling sends the cancel."""
    open_sends = sends.open_of_batch(db, batch.batch_id)
    now = time.time()
    if any(send.posted_at is not None for send in open_sends):
        batches.write(db, batch, cancel_asked_at=now)
        return
    for send in open_sends:
        sends.write(db, send, end="refused")
    batches.write(db, batch, cancel_asked_at=now, ended_at=now, remote_status="cancelled")
