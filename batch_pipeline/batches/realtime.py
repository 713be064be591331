"""Realtime: a batch that is answered here, request by request, in place of upload, POST and poll.

It is planned, admitted and claimed as any other, and collected from its file; the lines of that are what a batch's
output would have. One process answers it at a time: a lock says who, which the operating system lets go when that one
dies. What comes is appended to a file as it comes, so that whoever goes on asks only what has no line there: of a
process that is killed, the requests that were on their way are asked, and paid, a second time, and no others. Where
files are kept in an object storage, lines are saved there each second, and another host goes on after those.
"""

from __future__ import annotations

import time
from dataclasses import replace

from filelock import FileLock, Timeout

from batch_pipeline.batches.asked_at_once import Asking
from batch_pipeline.batches.cancel import cancel_asked
from batch_pipeline.batches.partial import Partial
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.settle import record_posted
from batch_pipeline.errors import ProviderError
from batch_pipeline.ledger import batches, events, jobs, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.sends import Send
from batch_pipeline.providers import Provider
from batch_pipeline.tasks.snapshot import TaskSnapshot

AT_WORK_SECONDS = 60.0
"""How long nobody else need see to a batch after the ledger was told how far it has come."""


class _GoneOnElsewhere(Exception):
    """Another host, which took this one for dead, has saved answers of the batch."""


def answer_batch(pipeline: Pipeline, provider: Provider, batch: Batch, send: Send) -> str | None:
    """Answers what is left of a claimed batch; None when it has ended, else why it has not.

    Raises:
        ProviderError: No request would fare better; what was answered is kept, and the next turn goes on.
        DamagedFile: The plan's file is gone, or another one.
    """
    folder = pipeline.folder(batch.job_id)
    folder.make()
    lock = FileLock(folder.answering(batch.number), mode=0o600, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        return "another process is answering it"
    try:
        with pipeline.ledger.to_itself(f"answers of {batch.batch_id}", wait=False) as alone:
            if not alone:
                return "another host is answering it"
            return _answer(pipeline, provider, batch.batch_id, send.claim)
    except _GoneOnElsewhere:
        return "another host is answering it"
    except ProviderError as error:
        _note_stopped(pipeline, batch.batch_id, str(error))
        raise
    finally:
        lock.release()


def _answer(pipeline: Pipeline, provider: Provider, batch_id: str, claim: str) -> str | None:
    """By the one process that has the lock, and so as the rows are now."""
    with pipeline.ledger.read() as db:
        batch = batches.get(db, batch_id)
        send = next((send for send in sends.open_of_batch(db, batch_id) if send.claim == claim), None)
        snapshot = TaskSnapshot.model_validate_json(jobs.get(db, batch.job_id).snapshot)
    if send is None or send.remote_id is not None:
        return None
    folder = pipeline.folder(batch.job_id)
    final = folder.output(batch.number)
    if folder.fetch(final):  # a process died before it could say so
        return _record_ended(pipeline, batch_id, send, Partial.read(final, snapshot.endpoint), cancelled=False)
    requests = folder.as_planned(batch.number, batch.sha256, batch.bytes)
    if send.posted_at is None:
        posted = record_posted(pipeline, batch, send, replace(send, posted_at=time.time()))
        if isinstance(posted, str):
            return posted
        send = posted
    path = folder.resume_answers(batch.number)
    with Partial.open(path, snapshot.endpoint) as partial:
        asking = Asking(provider, pipeline.settings.realtime_concurrency, flex=snapshot.mode == "flex")
        try:
            stopped = asking.ask(partial.left_of(requests), partial.add, lambda: _look(pipeline, batch_id, partial))
        except ProviderError:
            folder.save_answers(batch.number)
            raise
    if not folder.put(path, final):  # another host answered it meanwhile
        partial = Partial.read(final, snapshot.endpoint)
    folder.remove_answers(batch.number)
    return _record_ended(pipeline, batch_id, send, partial, cancelled=stopped)


def _look(pipeline: Pipeline, batch_id: str, partial: Partial) -> bool:
    """Tells how far it has come, and saves it; whether to stop."""
    with pipeline.ledger.begin() as db:
        batch = batches.get(db, batch_id)
        if cancel_asked(db, batch):
            return True
        told = {"completed": partial.completed, "failed": partial.failed, "wait_until": time.time() + AT_WORK_SECONDS}
        batches.write(db, batch, **told, wait_kind=None, wait_reason=None)
    if not pipeline.folder(batch.job_id).save_answers(batch.number):
        raise _GoneOnElsewhere
    return False


def _record_ended(pipeline: Pipeline, batch_id: str, send: Send, partial: Partial, *, cancelled: bool) -> str | None:
    """From here on it is as a batch that the provider has ended, whose file is on the disk already."""
    with pipeline.ledger.begin() as db:
        if sends.write(db, send, remote_id=f"at_once_{send.claim}") is None:
            return "another process settled it"
        batch = batches.get(db, batch_id)
        counts = {"completed": partial.completed, "failed": partial.failed}
        batches.write(
            db,
            batch,
            **counts,
            remote_status="cancelled" if cancelled else "completed",
            output_file_id=pipeline.folder(batch.job_id).output(batch.number).name,
            submitted_at=send.posted_at,
            ended_at=time.time(),
            wait_kind=None,
            wait_reason=None,
            wait_until=None,
        )
        events.record(db, "answered at once", batch.job_id, batch_id, **counts, cancelled=cancelled or None)
    return None


def _note_stopped(pipeline: Pipeline, batch_id: str, why: str) -> None:
    with pipeline.ledger.begin() as db:
        batches.write(db, batches.get(db, batch_id), wait_kind="refused", wait_reason=why, wait_until=None)
        events.record(db, "stopped", batches.get(db, batch_id).job_id, batch_id, why=why)
