"""What the protocol can't exclude: a batch that comes to be after its attempt was given up, and was sent anew.

It costs at most one batch. It is cancelled, its worst case is booked, and a person is told (docs/operations.md).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.recover import unknown
from batch_pipeline.ledger import events, sends
from batch_pipeline.ledger.sends import DOUBLED
from batch_pipeline.providers import Provider
from batch_pipeline.wire.batch import BatchObject

log = logging.getLogger(__name__)


def cancel_doubled(pipeline: Pipeline, provider: Provider, listed: Iterable[BatchObject]) -> list[str]:
    """Cancels the listed batches whose attempts were given up; gives their remote ids.

    Raises:
        ProviderError: One could not be cancelled; it is booked, and cancelled by hand.
    """
    found: list[str] = []
    for remote in unknown(pipeline, listed):
        if remote.status == "validating" or remote.executed_nothing:
            continue  # the fence holds, or that is not known yet: without its file it fails
        claim = (remote.metadata or {})["claim"]
        with pipeline.ledger.begin() as db:
            send = sends.given_up(db, claim)
            if send is None or sends.write(db, send, remote_id=remote.id, end=DOUBLED) is None:
                continue
            job_id = send.batch_id.rpartition("-")[0]
            events.record(db, "doubled", job_id, send.batch_id, remote_id=remote.id, claim=claim)
        log.error(
            "%s exists twice at the provider: %s came to be after it was given up, and is cancelled; "
            "its worst case counts as spent",
            send.batch_id,
            remote.id,
        )
        if not remote.ended:
            provider.cancel(remote.id)
        found.append(remote.id)
    return found
