"""Submit: each batch is created once.

`POST /batches` has no idempotency key, so a lost reply must not be answered with another POST. What is safe is decided
by compare-and-set in the ledger and by the input file: a POST whose file was deleted executes nothing. Any process may
call this, at any time, any number of times: what to do next is read from the open row of `sends`.

    no row                    → claim it
    claimed                   → upload the file, where the provider takes files
    file_id                   → marker, `posted_at`, POST once
    posted_at                 → settle: ask the listing; not there after WAIT: delete the file, which fences the POST
    posted_at, fenced_at      → settle: not there WAIT after the fence: void, and the batch is planned again
    remote_id                 → created

A model of this module, of `settle.py` and of `recover.py`, with every interleaving of two processes, is in
`batch_pipeline_tests/model/`: whoever changes a step here changes it there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from batch_pipeline.batches.canary import held_by_canary
from batch_pipeline.batches.cancel import cancel_asked, cancel_batch
from batch_pipeline.batches.money.admission import Kind, Waits, admit
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import abandon_dead_plans
from batch_pipeline.batches.points import reach
from batch_pipeline.batches.realtime import answer_batch
from batch_pipeline.batches.settle import record_created, record_posted, record_refused, settle
from batch_pipeline.errors import DamagedFile, PipelineError, ProviderError, ProviderRefused, ProviderUnreachable
from batch_pipeline.ledger import batches, events, jobs, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.ledger.sends import Send
from batch_pipeline.providers import Provider
from batch_pipeline.providers.base import Created, Refused
from batch_pipeline.providers.inline import InlineRequests
from batch_pipeline.tasks.snapshot import TaskSnapshot

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

AGAIN_SECONDS: dict[Kind, float] = {"budget": 60.0, "capacity": 60.0, "canary": 3600.0, "stopped": 24 * 3600.0}
"""When the monitor asks again for a batch that was held back; whoever submits asks at once. A canary's end and a
person's word make it due by themselves."""


@dataclass
class Submitted:
    """What one turn came to: batches that are at the provider, and why others are not."""

    created: list[str] = field(default_factory=list[str])
    not_yet: dict[str, str] = field(default_factory=dict[str, str])
    stopped: PipelineError | None = None
    """Set where no other batch would fare better: a refused key, a server that is not there."""


def submit(pipeline: Pipeline, provider_name: str, job_ids: Sequence[str] | None = None) -> Submitted:
    """One turn: takes every batch that is not created yet, of these jobs or of all, as far as it goes now.

    Raises:
        Disabled: Nothing is to be sent.
        MissingKey: The provider needs a key, and there is none.
    """
    pipeline.must_be_enabled()
    provider = pipeline.provider(provider_name)
    abandon_dead_plans(pipeline)
    with pipeline.ledger.read() as db:
        todo = batches.not_created(db, provider_name, job_ids)
    turn = Submitted()
    for batch_id in todo:
        try:
            why_not = create(pipeline, provider, batch_id)
        except (ProviderError, DamagedFile) as error:
            why_not = str(error)
            if not isinstance(error, DamagedFile):
                turn.stopped = error
        if why_not is None:
            turn.created.append(batch_id)
        else:
            turn.not_yet[batch_id] = why_not
        if turn.stopped:
            break
    return turn


def create(pipeline: Pipeline, provider: Provider, batch_id: str) -> str | None:
    """Takes the next steps of one batch; None once the provider has it, else why it has not."""
    with pipeline.ledger.begin() as db:
        batch = batches.get(db, batch_id)
        if cancel_asked(db, batch):
            cancel_batch(db, batch)
            batch = batches.get(db, batch_id)
        if why := _not_now(batch):
            return why
        open_sends = _open_sends(db, pipeline, provider, batch)
    if isinstance(open_sends, Waits):
        return open_sends.why
    reach("claim.recorded")
    why_not: str | None = None
    for send in open_sends:
        if send is None:
            why_not = "another process is sending it"
        elif send.account != provider.account:
            why_not = (
                f"it was sent with another key or base URL (account {send.account}, now it is {provider.account}): "
                "put that back, or resolve it"
            )
        elif send.remote_id is None:
            why_not = _next_step(pipeline, provider, batch, send)
    return why_not


def _open_sends(db: Connection, pipeline: Pipeline, provider: Provider, batch: Batch) -> Sequence[Send | None] | Waits:
    """The open attempts; a new claim where there is none, and the batch is admitted."""
    still_open = [s for s in sends.open_of_batch(db, batch.batch_id) if not _let_go(db, s, provider.account)]
    if still_open:
        return still_open
    job = jobs.get(db, batch.job_id)
    waits = held_by_canary(db, pipeline.settings, job)
    if waits := waits or admit(db, pipeline.settings, provider.account, job, batch):
        _note_wait(db, batch, waits)
        return waits
    return [sends.claim(db, batch.batch_id, provider.account)]


def _let_go(db: Connection, send: Send, account: str) -> bool:
    """A claim of another account that was never posted came to nothing, and can't any more: its row has moved."""
    unposted = send.account != account and send.posted_at is None
    return unposted and sends.write(db, send, end="void") is not None


def _not_now(batch: Batch) -> str | None:
    if batch.ended_at is not None:
        return "cancelled before it was sent"
    if batch.wait_kind == "refused" and batch.wait_until is not None and batch.wait_until > time.time():
        return f"{batch.wait_reason}; it goes again by itself in {batch.wait_until - time.time():.0f} s"
    return None


def _note_wait(db: Connection, batch: Batch, waits: Waits) -> None:
    again = time.time() + AGAIN_SECONDS[waits.kind]
    batches.write(db, batch, wait_kind=waits.kind, wait_reason=waits.why, wait_until=again)
    if batch.wait_kind != waits.kind:
        events.record(db, "waits", batch.job_id, batch.batch_id, why=waits.log or waits.why)


def _next_step(pipeline: Pipeline, provider: Provider, batch: Batch, send: Send) -> str | None:
    if send.held is not None:
        return f"held: {send.held}"
    with pipeline.ledger.read() as db:
        job = jobs.get(db, batch.job_id)
    if job.at_once:
        return answer_batch(pipeline, provider, batch, send)
    if send.posted_at is None:
        return _send(pipeline, provider, job, batch, send)
    return settle(pipeline, provider, batch, send)


def _send(pipeline: Pipeline, provider: Provider, job: Job, batch: Batch, send: Send | None) -> str | None:
    if send is not None and send.file_id is None and provider.takes_files:
        send = _upload(pipeline, provider, job, batch, send)
    if send is None:
        return "another process is sending it"
    given = send.file_id or _inline(pipeline, batch, send)
    to_post = replace(send, posted_at=time.time(), sent_sha256=None if isinstance(given, str) else given.sha256)
    posted = record_posted(pipeline, batch, send, to_post)
    if isinstance(posted, str):
        return posted
    return _post(pipeline, provider, job, batch, posted, given)


def _inline(pipeline: Pipeline, batch: Batch, send: Send) -> InlineRequests:
    path = pipeline.folder(batch.job_id).as_planned(batch.number, batch.sha256, batch.bytes)
    return InlineRequests(path, send.claim)


def _upload(pipeline: Pipeline, provider: Provider, job: Job, batch: Batch, send: Send) -> Send | None:
    path = pipeline.folder(job.job_id).as_planned(batch.number, batch.sha256, batch.bytes)
    reach("upload.before")
    try:
        uploaded = provider.upload(path, f"{pipeline.pipeline_id}-{batch.batch_id}-{send.claim}.jsonl")
    except ProviderRefused as error:
        record_refused(pipeline, batch, send, Refused(str(error), error.status, error.code))
        raise
    reach("upload.replied")
    if uploaded.bytes is not None and uploaded.bytes != batch.bytes:
        raise DamagedFile(f"{path.name} arrived with {uploaded.bytes:,} of {batch.bytes:,} bytes; it is sent again.")
    with pipeline.ledger.begin() as db:
        recorded = sends.write(db, send, file_id=uploaded.file_id, uploaded_at=uploaded.uploaded_at)
        if recorded:
            events.record(db, "uploaded", job.job_id, batch.batch_id, file_id=uploaded.file_id, bytes=batch.bytes)
    if recorded is None:
        provider.delete_file(uploaded.file_id)  # somebody else's upload is the one that counts
    reach("upload.recorded")
    return recorded


def _post(
    pipeline: Pipeline, provider: Provider, job: Job, batch: Batch, send: Send, given: str | InlineRequests
) -> str | None:
    """POSTs once. Whatever is neither an id nor a refusal is unknown: nothing is written, the next turn settles."""
    metadata = {
        "pipeline": pipeline.pipeline_id,
        "job": job.job_id,
        "batch": batch.batch_id,
        "sha256": batch.sha256,
        "claim": send.claim,
    }
    reply = provider.create(given, TaskSnapshot.model_validate_json(job.snapshot).endpoint, metadata)
    reach("send.replied")
    match reply:
        case Created(remote):
            return record_created(pipeline, batch, send, remote, "submitted")
        case Refused():
            record_refused(pipeline, batch, send, reply)
            if send.file_id is not None:
                provider.delete_file(send.file_id)
            if reply.status is None:
                raise ProviderUnreachable(reply.message)
            if reply.stops_everything:
                raise ProviderRefused(reply.message, reply.status, reply.code)
            return f"the provider refused it: {reply.message}"
        case unknown:
            log.warning(
                "%s: the reply to create was lost (%s); it is looked for before anything is sent again",
                batch.batch_id,
                unknown.why,
            )
            return f"the reply to create was lost ({unknown.why}): it is looked for before anything is sent again"
