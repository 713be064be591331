"""Recover: what the second memory knows and the ledger does not.

A process was killed between a marker and the ledger, or the ledger was restored, deleted or replaced. Markers come
first in every turn; a job that the ledger lacks comes back from its folder; a batch that the provider lists as ours and
no send knows is written in, too.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.ledger import batches, events, fingerprints, jobs, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.ledger.sends import Send
from batch_pipeline.warehouse import plan_index
from batch_pipeline.wire.batch import BatchObject

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

_ONE_WORD = re.compile(r"[A-Za-z0-9_-]+")
"""A job's id; one out of a listing is the provider's word, and must name no other place on this machine."""
LISTED_SECONDS = 30 * 24 * 3600.0
"""How far back a whole recovery reads the provider's listing: as long as the provider keeps files."""


def recover(pipeline: Pipeline) -> None:
    """Writes in every send that has a marker and is unknown, or known and not as posted."""
    with pipeline.ledger.read() as db:
        behind = sends.behind(db, pipeline.markers.claims())
    for claim in sorted(behind):
        if (marked := pipeline.markers.read(claim)) is None:  # its job was pruned meanwhile
            continue
        with pipeline.ledger.begin() as db:
            known = batches.exists(db, marked.batch_id) or _restore_plan(pipeline, db, _job_of(marked.batch_id))
            if known:
                sends.remember(db, marked)
        if not known:
            log.warning("%s was sent (claim %s), and its job's folder is gone", marked.batch_id, claim)
            pipeline.markers.set_aside(claim)
        reach("recover.row")


def foreign_markers(pipeline: Pipeline, db: Connection) -> bool:
    """Whether something may have been sent that this ledger knows nothing of: another ledger is at work."""
    return bool(pipeline.markers.claims() - sends.claims(db))


@dataclass
class Recovered:
    """What a whole recovery found."""

    jobs: list[str] = field(default_factory=list[str])
    """Jobs whose plans came back from their folders."""
    adopted: list[str] = field(default_factory=list[str])
    """Provider batches that are known again."""
    orphans: list[str] = field(default_factory=list[str])
    """Provider batches that carry this pipeline's id, and of whose job nothing is left here."""


def recover_all(pipeline: Pipeline, provider_name: str) -> Recovered:
    """Rebuilds what can be rebuilt: from the folders, the markers, and the provider's listing of its last 30 days.

    Raises:
        ProviderError: The listing failed; what came from folders and markers is kept.
    """
    recovered = Recovered()
    for job_id in sorted(pipeline.files.folders(pipeline.settings.batches_dir)):
        with pipeline.ledger.begin() as db:
            if _restore_plan(pipeline, db, job_id):
                recovered.jobs.append(job_id)
    recover(pipeline)
    provider = pipeline.provider(provider_name)
    listing = provider.list(time.time() - LISTED_SECONDS)
    reach("recover.page_1")
    recovered.adopted = adopt_unknown(pipeline, provider.account, listing.batches)
    recovered.orphans = orphans(pipeline, listing.batches)
    return recovered


def adopt_unknown(pipeline: Pipeline, account: str, listed: Iterable[BatchObject]) -> list[str]:
    """Writes in the listed batches that carry this pipeline's id and no send knows; gives their remote ids."""
    return [remote.id for remote in unknown(pipeline, listed) if _adopt(pipeline, account, remote)]


def orphans(pipeline: Pipeline, listed: Iterable[BatchObject]) -> list[str]:
    """The listed batches that carry this pipeline's id, that nothing here knows, and that may have cost something."""
    return [remote.id for remote in unknown(pipeline, listed) if not remote.executed_nothing]


def unknown(pipeline: Pipeline, listed: Iterable[BatchObject]) -> list[BatchObject]:
    """The listed batches that carry this pipeline's id, and that no send knows."""
    with pipeline.ledger.read() as db:
        known = sends.remote_ids(db)
    return [remote for remote in listed if remote.id not in known and _claimed(pipeline, remote)]


def _adopt(pipeline: Pipeline, account: str, remote: BatchObject) -> bool:
    told = remote.metadata or {}
    batch_id, created_at = told["batch"], float(remote.created_at)
    posted = Send(batch_id, 0, told["claim"], account, created_at, remote.input_file_id, created_at, created_at)
    with pipeline.ledger.begin() as db:
        if not batches.exists(db, batch_id) and not _restore_plan(pipeline, db, _job_of(batch_id)):
            return False
        sends.remember(db, posted)
        send = next((send for send in sends.open_of_batch(db, batch_id) if send.claim == posted.claim), None)
        if send is None or send.remote_id is not None or sends.write(db, send, remote_id=remote.id) is None:
            return False
        batches.write(
            db,
            batches.get(db, batch_id),
            input_file_id=remote.input_file_id,
            remote_status=remote.status,
            submitted_at=created_at,
        )
        events.record(db, "adopted", _job_of(batch_id), batch_id, remote_id=remote.id)
    return True


def _claimed(pipeline: Pipeline, remote: BatchObject) -> bool:
    told = remote.metadata or {}
    return told.get("pipeline") == pipeline.pipeline_id and bool(told.get("claim")) and bool(told.get("batch"))


def _restore_plan(pipeline: Pipeline, db: Connection, job_id: str) -> bool:
    """Writes a job's plan in again, from its folder; False where it is known, or the folder is gone too.

    One that has been planned anew meanwhile, under its key, is settled and collected, and nothing more of it is sent.
    """
    folder = pipeline.folder(job_id)
    if not _ONE_WORD.fullmatch(job_id) or (content := folder.read_plan()) is None:
        return False
    plan = json.loads(content)
    job = _under_its_root(pipeline, db, Job(**plan["job"]))
    known = jobs.find(db, job.key)
    anew = known is not None and known.job_id != job_id
    if not jobs.restore(db, replace(job, key=f"{job.key}|{job_id}", cancel_asked_at=time.time()) if anew else job):
        return False
    batches.add(db, [Batch(**batch) for batch in plan["batches"]])
    folder.fetch(folder.request_index)
    fingerprints.take(db, job_id, plan_index.in_flight(folder.request_index))
    events.record(db, "restored", job_id, planned_anew=anew or None)
    return True


def _under_its_root(pipeline: Pipeline, db: Connection, job: Job) -> Job:
    """An attempt comes back under its job, which may have no marker; where that is gone, as a job of its own."""
    root = job.root_job_id
    if root == job.job_id or jobs.planned(db, root) or _restore_plan(pipeline, db, root):
        return job
    return replace(job, root_job_id=job.job_id, attempt=1, taken={})


def _job_of(batch_id: str) -> str:
    return batch_id.rpartition("-")[0]
