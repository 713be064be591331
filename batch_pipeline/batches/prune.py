"""Prune: the files of jobs that are through, here and in the object storage, never an answer."""

from __future__ import annotations

import time
from dataclasses import dataclass

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.ledger import batches, jobs, sends
from batch_pipeline.ledger.jobs import Job

DAY = 24 * 3600.0


@dataclass(frozen=True)
class Pruned:
    """What was removed: the folders of so many jobs and attempts, with so many bytes."""

    jobs: int = 0
    bytes: int = 0


def prune(pipeline: Pipeline, older_than_days: float) -> Pruned:
    """Removes the folders and markers of jobs that were closed longer ago; the warehouse and the ledger keep all."""
    before = time.time() - older_than_days * DAY
    with pipeline.ledger.read() as db:
        through = [job for job in jobs.closed_before(db, before) if _collected(pipeline, job)]
    kept = pipeline.files.folders(pipeline.settings.batches_dir)
    sizes = [_remove(pipeline, job) for job in through if job.job_id in kept]
    return Pruned(len(sizes), sum(sizes))


def _collected(pipeline: Pipeline, job: Job) -> bool:
    with pipeline.ledger.read() as db:
        return all(batch.collected_at is not None for batch in batches.of_job(db, job.job_id))


def _remove(pipeline: Pipeline, job: Job) -> int:
    """The plan goes first: with it, and without the markers, a ledger that is lost meanwhile would send it again."""
    folder = pipeline.folder(job.job_id)
    size = folder.size
    with pipeline.ledger.read() as db:
        claims = [s.claim for batch in batches.of_job(db, job.job_id) for s in sends.of_batch(db, batch.batch_id)]
    folder.remove_plan()
    reach("prune.half")
    pipeline.markers.remove(claims)
    folder.remove()
    return size
