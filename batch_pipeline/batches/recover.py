"""Recover: what the second memory knows and the ledger does not.

A process was killed between a marker and the ledger, or the ledger was restored, deleted or replaced. Markers come
first in every turn; a job that the ledger lacks comes back from its folder.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.ledger import batches, events, fingerprints, jobs, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.warehouse import plan_index

if TYPE_CHECKING:
    from sqlalchemy import Connection


def recover(pipeline: Pipeline) -> None:
    """Writes in every send that has a marker and is unknown, or known and not as posted."""
    with pipeline.ledger.read() as db:
        behind = sends.behind(db, pipeline.markers.claims())
    for claim in sorted(behind):
        marked = pipeline.markers.read(claim)
        with pipeline.ledger.begin() as db:
            if batches.exists(db, marked.batch_id) or _restore_plan(pipeline, db, marked.batch_id):
                sends.remember(db, marked)
        reach("recover.row")


def _restore_plan(pipeline: Pipeline, db: Connection, batch_id: str) -> bool:
    """Writes a job's plan in again, from its folder; False where that is gone too."""
    folder = pipeline.folder(batch_id.rpartition("-")[0])
    if not folder.plan.exists():
        return False
    plan = json.loads(folder.plan.read_bytes())
    job = Job(**plan["job"])
    if jobs.restore(db, job):
        batches.add(db, [Batch(**batch) for batch in plan["batches"]])
        fingerprints.take(db, job.job_id, plan_index.in_flight(folder.request_index))
        events.record(db, "restored", job.job_id)
    return True
