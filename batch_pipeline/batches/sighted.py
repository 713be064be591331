"""Which of the batches in a listing is ours?

A provider that takes files keeps the file's id and our metadata with the batch. Of another one's batches only the
results say whose they are: until then, one of our size that no send knows may be ours, or anybody's with the same key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger import sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.sends import Send
from batch_pipeline.providers import Provider
from batch_pipeline.wire.batch import BatchObject


@dataclass
class Sighted:
    """What a listing has of a send: batches that are its, and those that may be and don't say so yet."""

    ours: list[BatchObject] = field(default_factory=list[BatchObject])
    nameless: list[BatchObject] = field(default_factory=list[BatchObject])


def sighted(pipeline: Pipeline, provider: Provider, batch: Batch, send: Send, listed: Iterable[BatchObject]) -> Sighted:
    """Looks through a listing that was asked for after `send` was read.

    Raises:
        ProviderError: A batch's results could not be asked for its claim: nothing is known.
    """
    if provider.takes_files:
        return Sighted(ours=[remote for remote in listed if _is_ours(remote, send)])
    with pipeline.ledger.read() as db:
        known = sends.remote_ids(db)
    found = Sighted()
    for remote in listed:
        if remote.id in known or _size(remote) != batch.requests:
            continue
        claim = provider.claim_of(remote)
        if claim is None:
            found.nameless.append(remote)
        elif send.claim.startswith(claim):
            found.ours.append(remote)
    return found


def _is_ours(remote: BatchObject, send: Send) -> bool:
    return remote.input_file_id == send.file_id or (remote.metadata or {}).get("claim") == send.claim


def _size(remote: BatchObject) -> int:
    return remote.request_counts.total if remote.request_counts else 0
