"""Settle: a POST whose reply was lost. Was the batch created, and can it still be?

Found proves, at any time: the batch is adopted. Not found proves only when asked for WAIT after the fence: the
deletion of the input file, without which a POST that is still on its way executes nothing. Where there is no file, no
batch may be left in the listing that could be ours (`sighted.py`), and WAIT, six times as long, counts from the first
listing that had none.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from batch_pipeline.batches.cancel import cancel_asked
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.batches.recover import foreign_markers
from batch_pipeline.batches.sighted import sighted
from batch_pipeline.ledger import batches, events, meta, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.sends import Send
from batch_pipeline.providers import Provider
from batch_pipeline.providers.base import Fenced, Listing, NotFenced, Refused
from batch_pipeline.wire.batch import BatchObject

log = logging.getLogger(__name__)

NO_FENCE_FACTOR = 6
"""WAIT is that much longer where the server deletes no files: an hour, which must exceed the longest stop of a
process, the wire, the server's queue and the listing's lag together."""
REFUSED_WAIT, PASSING_WAIT = 600.0, 60.0
"""How long a batch that was refused waits before it is sent again; one that was refused for now (429) waits less."""
UPLOAD_MARGIN, POST_MARGIN = 3600.0, 24 * 3600.0
"""How far back the listing is read: from the upload by the provider's clock, else from the POST by ours."""


def settle(pipeline: Pipeline, provider: Provider, batch: Batch, send: Send) -> str | None:
    """Found proves, at any time. Not found proves only when asked for WAIT after the fence."""
    reach("lookup.row_read")
    listing = provider.list(_since(send))  # asked after `send` was read
    reach("lookup.done")
    seen = sighted(pipeline, provider, batch, send, listing.batches)
    ours, alive = seen.ours, [remote for remote in seen.ours if not remote.executed_nothing]
    if alive:
        return _adopt(pipeline, provider, batch, send, alive)
    if ours:
        return (
            _adopt(pipeline, provider, batch, send, ours)
            if send.fenced_at is None
            else record_void(pipeline, batch, send)
        )
    if seen.nameless or not listing.whole:
        return _why_unknown(seen.nameless)
    if send.fenced_at is None:
        return _fence(pipeline, provider, batch, send, listing)
    if listing.begun <= send.fenced_at + _wait(pipeline, provider):
        return f"not in the listing; it is asked again {_wait(pipeline, provider):.0f} s after the fence"
    return _give_way(pipeline, provider, batch, send)


def _adopt(
    pipeline: Pipeline, provider: Provider, batch: Batch, send: Send, found: Sequence[BatchObject]
) -> str | None:
    """The one furthest on is ours; others, of a doubled POST, are cancelled and told."""
    furthest, *others = sorted(found, key=_progress, reverse=True)
    for other in others:
        log.warning("%s exists twice at the provider: %s is cancelled", batch.batch_id, other.id)
        provider.cancel(other.id)
    why_not = record_created(pipeline, batch, send, furthest, "adopted")
    reach("adopt.recorded")
    return why_not


def _fence(pipeline: Pipeline, provider: Provider, batch: Batch, send: Send, listing: Listing) -> str | None:
    """After it, a POST that is still on its way executes nothing."""
    if time.time() <= (send.posted_at or 0.0) + provider.wait_seconds:  # too early costs a detour, no more
        return "not in the listing yet"
    fenced = _delete_or_not(pipeline, provider, send.file_id or "", listing)
    reach("fence.deleted")
    if fenced is not None:
        with pipeline.ledger.begin() as db:
            if sends.write(db, send, fenced_at=fenced) is not None:
                events.record(db, "fenced", batch.job_id, batch.batch_id, file_id=send.file_id)
        reach("fence.recorded")
    return "not in the listing: its file is deleted, and the listing is asked again before it is sent anew"


def _delete_or_not(pipeline: Pipeline, provider: Provider, file_id: str, listing: Listing) -> float | None:
    """When the fence stands; a server that deletes no files has none, and only a long wait protects."""
    if not deletes_files(pipeline, provider):
        return listing.begun
    match provider.delete_file(file_id):
        case Fenced(at):
            return at
        case NotFenced(supported=False):
            with pipeline.ledger.begin() as db:
                meta.put(db, _deletes(provider), value=False)
            return listing.begun
        case NotFenced(why):
            log.warning("file %s could not be deleted (%s); it is tried again", file_id, why)
            return None


def _give_way(pipeline: Pipeline, provider: Provider, batch: Batch, send: Send) -> str | None:
    """A new attempt may send again; where nothing was fenced and much is at stake, a person decides."""
    if _ended_on_disk(pipeline, batch, send):
        return "its files are on the disk: it is collected from them"
    if not deletes_files(pipeline, provider) and batch.bound_usd > pipeline.settings.hold_above_usd:
        why = (
            f"the reply to create was lost, no file can be deleted, and it may cost {batch.bound_usd:.2f} USD: "
            f"look for claim {send.claim} at the provider"
        )
        with pipeline.ledger.begin() as db:
            if sends.write(db, send, held=why) is not None:
                events.record(db, "held", batch.job_id, batch.batch_id, why=why)
        return f"held: {why}"
    return record_void(pipeline, batch, send)


def _ended_on_disk(pipeline: Pipeline, batch: Batch, send: Send) -> bool:
    """A ledger came back from the folders, and the provider has forgotten the batch; what it gave is here still."""
    folder = pipeline.folder(batch.job_id)
    output, errors = (
        path.name if folder.fetch(path) else None for path in (folder.output(batch.number), folder.errors(batch.number))
    )
    if output is None and errors is None:
        return False
    with pipeline.ledger.begin() as db:
        if sends.write(db, send, end="collected") is not None:
            fresh = batches.get(db, batch.batch_id)
            values = {"output_file_id": output, "error_file_id": errors, "remote_status": "completed"}
            batches.write(db, fresh, **values, ended_at=time.time(), submitted_at=send.posted_at)
            events.record(db, "found on disk", batch.job_id, batch.batch_id)
    return True


def record_posted(pipeline: Pipeline, batch: Batch, send: Send, to_post: Send) -> Send | str:
    """The right to ask the provider, given once: the marker first, then the ledger. Else why it is not given."""
    if not pipeline.markers.create(to_post):
        return "another process is sending it"
    reach("send.marker_synced")
    with pipeline.ledger.begin() as db:
        if foreign_markers(pipeline, db):
            return "another ledger is at work: it is settled first"
        posted = None if cancel_asked(db, batch) else sends.post(db, send, to_post)
    if posted is None:
        return "another process is sending it, or it was cancelled"
    reach("send.posted_recorded")
    return posted


def record_created(pipeline: Pipeline, batch: Batch, send: Send, remote: BatchObject, how: str) -> str | None:
    """The provider has the batch; None, or why it is not ours to say."""
    with pipeline.ledger.begin() as db:
        written = sends.write(db, send, remote_id=remote.id)
        if written is not None:
            fresh = batches.get(db, batch.batch_id)
            batches.write(
                db,
                fresh,
                input_file_id=send.file_id,
                remote_status=remote.status,
                submitted_at=float(remote.created_at),
                expires_at=None if remote.expires_at is None else float(remote.expires_at),
                wait_kind=None,
                wait_reason=None,
                wait_until=None,
            )
            events.record(db, how, batch.job_id, batch.batch_id, remote_id=remote.id)
    reach("send.remote_id_recorded")
    return None if written is not None else "another process settled it"


def record_refused(pipeline: Pipeline, batch: Batch, send: Send, reply: Refused) -> None:
    """Nothing was created, nothing will be: the attempt ends, and the batch waits."""
    reach("refuse.replied")
    with pipeline.ledger.begin() as db:
        if sends.write(db, send, end="refused") is not None:
            fresh = batches.get(db, batch.batch_id)
            told = f"refused: {reply.message}"
            batches.write(db, fresh, wait_kind="refused", wait_reason=told, wait_until=_again_at(reply))
            events.record(db, "refused", batch.job_id, batch.batch_id, status=reply.status, message=reply.message)
    reach("refuse.recorded")


def record_void(pipeline: Pipeline, batch: Batch, send: Send) -> str | None:
    """The attempt came to nothing and can't any more: the batch is planned again."""
    with pipeline.ledger.begin() as db:
        if sends.write(db, send, end="void") is not None:
            events.record(db, "void", batch.job_id, batch.batch_id, claim=send.claim)
    reach("fence.void")
    return "it was never created: it is sent anew"


def _again_at(reply: Refused) -> float | None:
    """None where a person must correct something, or the server is not there: then it goes with the next turn."""
    if reply.status is None or reply.stops_everything:
        return None
    return time.time() + (PASSING_WAIT if reply.status == 429 else REFUSED_WAIT)


def deletes_files(pipeline: Pipeline, provider: Provider) -> bool:
    """Whether there is a fence: a file, and a provider that deletes it."""
    if not provider.takes_files:
        return False
    with pipeline.ledger.read() as db:
        return meta.get(db, _deletes(provider)) is not False


def _deletes(provider: Provider) -> str:
    return f"deletes_files:{provider.account}"


def _wait(pipeline: Pipeline, provider: Provider) -> float:
    return provider.wait_seconds * (1 if deletes_files(pipeline, provider) else NO_FENCE_FACTOR)


def _since(send: Send) -> float:
    return send.uploaded_at - UPLOAD_MARGIN if send.uploaded_at else (send.posted_at or time.time()) - POST_MARGIN


def _why_unknown(nameless: Sequence[BatchObject]) -> str:
    """A listing that does not prove that there is none."""
    if not nameless:
        return "the listing can't be relied on: nothing is sent until it can"
    return f"one of these may be it, which only its results will say: {', '.join(each.id for each in nameless)}"


_ORDER = ("cancelled", "cancelling", "failed", "validating", "in_progress", "finalizing", "expired", "completed")


def _progress(remote: BatchObject) -> int:
    return _ORDER.index(remote.status)
