"""Poll: one listing of the provider for everything in flight; what it lacks is asked for by id."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch_pipeline.batches.doubled import cancel_doubled
from batch_pipeline.batches.money.admission import learn_token_limit, learn_too_large
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.batches.recover import adopt_unknown
from batch_pipeline.batches.settle import record_void
from batch_pipeline.ledger import batches, budgets, events, jobs, meta, sends, webhooks
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.sends import Send
from batch_pipeline.providers import Provider
from batch_pipeline.wire.batch import BatchError, BatchObject

if TYPE_CHECKING:
    from sqlalchemy import Connection

LISTING_MARGIN = 3600.0
"""How much further back than the oldest batch the listing is read: clocks differ."""
ASKED_BY_ID = 50
"""Batches that one turn asks for by id; a listing that lacks more than that is looked at again next time."""
TOKEN_LIMIT = "token_limit_exceeded"  # noqa: S105 - a code of the wire
PASSING_SECONDS, LONGEST_SECONDS = 60.0, 1800.0
"""How long a batch waits that failed for a cause that passes: twice as long each time, and never longer than that."""
LISTED = "listed "
"""In the ledger, before a provider's name: when it was last listed."""
TOO_OFTEN = 3
"""How often a batch is refused for the token limit before it is taken to be larger than the limit itself."""
UPLOADS = 5
"""How often a file that the provider can't find is uploaded anew before a person must look."""


@dataclass
class Polled:
    """What one turn saw."""

    in_flight: int = 0
    changed: list[str] = field(default_factory=list[str])
    """Ids of batches whose remote state is another one than before."""
    ended: list[str] = field(default_factory=list[str])


def poll(pipeline: Pipeline, provider_name: str) -> Polled:
    """One turn over everything that the provider has of ours. Writes the ledger only.

    Raises:
        ProviderError: The listing failed; nothing was changed, and nothing is known to be gone.
    """
    provider = pipeline.provider(provider_name)
    with pipeline.ledger.read() as db:
        in_flight = batches.in_flight(db, provider_name, provider.account)
    turn = Polled(in_flight=len(in_flight))
    if not in_flight:
        return turn
    _cancel_asked(pipeline, provider, in_flight)
    oldest = min(batch.submitted_at or 0.0 for batch, _ in in_flight)
    listed = {remote.id: remote for remote in provider.list(oldest - LISTING_MARGIN).batches}
    reach("poll.page_1")
    adopt_unknown(pipeline, provider.account, listed.values())
    cancel_doubled(pipeline, provider, listed.values())
    settled = time.time() - provider.wait_seconds  # what is younger may be missing from the listing and not be gone
    unlisted = [id_ for batch, id_ in in_flight if id_ not in listed and (batch.submitted_at or 0.0) < settled]
    asked = {remote_id: provider.get(remote_id) for remote_id in unlisted[:ASKED_BY_ID]}
    for batch, remote_id in in_flight:
        if remote := listed.get(remote_id):
            _record(pipeline, batch, remote, turn)
        elif remote_id in asked:
            found = asked[remote_id]
            _record(pipeline, batch, found, turn) if found else _record_gone(pipeline, batch, remote_id, turn)
    with pipeline.ledger.begin() as db:
        meta.stamp(db, f"{LISTED}{provider_name}", time.time())
    return turn


def look_at_told(pipeline: Pipeline) -> Polled:
    """Asks for each batch that a webhook told of, and writes what is said of it; no listing is needed.

    Raises:
        ProviderError: One could not be asked for; it is looked at again by the next call, and by `poll`.
    """
    turn = Polled()
    with pipeline.ledger.read() as db:
        told = webhooks.not_looked_at(db)
    for remote_id in told:
        with pipeline.ledger.read() as db:
            found = batches.of_remote(db, remote_id)
        if found is not None:
            provider = pipeline.provider(found.provider)
            # another key's batches are for whoever has that
            remote = provider.get(remote_id) if found.account == provider.account else None
            if remote is not None:
                _record(pipeline, found.batch, remote, turn)
        with pipeline.ledger.begin() as db:
            webhooks.looked_at(db, remote_id)
    return turn


def listed_at(db: Connection) -> dict[str, float]:
    """When each provider was last listed, in unix seconds, by its name."""
    return {name.removeprefix(LISTED): at for name, at in meta.numbers(db, LISTED).items()}


def must_list(pipeline: Pipeline, provider_name: str) -> bool:
    """Whether it is time to list: always, but where webhooks tell what has ended, and nothing is to be cancelled."""
    if not pipeline.settings.webhooks_tell(provider_name):
        return True
    with pipeline.ledger.read() as db:
        at = listed_at(db).get(provider_name, 0.0)
        cancels = batches.to_cancel(db, provider_name)
    return cancels or time.time() - at >= pipeline.settings.webhook_poll_seconds


def _cancel_asked(pipeline: Pipeline, provider: Provider, in_flight: Sequence[tuple[Batch, str]]) -> None:
    for batch, remote_id in in_flight:
        if batch.cancel_asked_at is not None and batch.remote_status not in ("cancelling", "cancelled"):
            provider.cancel(remote_id)
            reach("cancel.posted")
            with pipeline.ledger.begin() as db:
                events.record(db, "cancel sent", batch.job_id, batch.batch_id, remote_id=remote_id)


def _record(pipeline: Pipeline, batch: Batch, remote: BatchObject, turn: Polled) -> None:
    """Writes what the provider says, if the row still is what it was."""
    if remote.executed_nothing and _sent_anew(pipeline, batch, remote):
        turn.changed.append(batch.batch_id)
        return
    values = _told(remote) | ({"ended_at": _ended_at(remote)} if remote.ended else {})
    if all(getattr(batch, name) == value for name, value in values.items()):
        return
    with pipeline.ledger.begin() as db:
        written = batches.write(db, batch, **values)
        if written is not None and remote.status != batch.remote_status:
            turn.changed.append(batch.batch_id)
            counts = f"{written.completed}+{written.failed}/{batch.requests}"
            events.record(db, remote.status, batch.job_id, batch.batch_id, remote_id=remote.id, counts=counts)
    if written is not None and remote.ended:
        turn.ended.append(batch.batch_id)
    reach("poll.recorded")


def _told(remote: BatchObject) -> dict[str, object]:
    counts = remote.request_counts
    return {
        "remote_status": remote.status,
        "completed": counts.completed if counts else 0,
        "failed": counts.failed if counts else 0,
        "output_file_id": remote.output_file_id,
        "error_file_id": remote.error_file_id,
        "usage": remote.usage.model_dump() if remote.usage else None,
        "errors": [error.model_dump() for error in remote.errors.data] if remote.errors else [],
        "expires_at": None if remote.expires_at is None else float(remote.expires_at),
    }


def _ended_at(remote: BatchObject) -> float:
    stamp = remote.completed_at or remote.failed_at or remote.expired_at or remote.cancelled_at
    return float(stamp) if stamp else time.time()


def _sent_anew(pipeline: Pipeline, batch: Batch, remote: BatchObject) -> bool:
    """A batch that failed for a cause that passes goes again by itself, and burns no attempt."""
    errors = remote.errors.data if remote.errors else []
    passing = next((error for error in errors if error.line is None and _passes(error)), None)
    if passing is None:
        return False
    with pipeline.ledger.begin() as db:
        send = next((send for send in sends.open_of_batch(db, batch.batch_id) if send.remote_id == remote.id), None)
        if send is None:
            return False
        if passing.param == "file_id" and send.number >= UPLOADS:
            return False
        if passing.code == TOKEN_LIMIT and _larger_than_the_limit(db, batch, send, remote, passing):
            return False
        wait = 0.0 if passing.param == "file_id" else min(PASSING_SECONDS * 2 ** (send.number - 1), LONGEST_SECONDS)
        batches.write(
            db,
            batch,
            wait_kind="refused",
            wait_reason=passing.message,
            wait_until=time.time() + wait,
            remote_status=None,
            submitted_at=None,
        )
    record_void(pipeline, batch, send)
    return True


def _passes(error: BatchError) -> bool:
    return error.code == TOKEN_LIMIT or error.param == "file_id"


def _larger_than_the_limit(db: Connection, batch: Batch, send: Send, remote: BatchObject, error: BatchError) -> bool:
    """Learns the limit from the provider's words; a batch beyond it never fits: its requests go in smaller ones."""
    found = re.search(r"limit(?: of|:)? ?(?P<number>\d[\d,.]*)(?P<unit>[KMB]?)", error.message or "", re.IGNORECASE)
    if found is None:
        return False
    number = found["number"].rstrip(".,").replace(",", "")
    limit = int(float(number) * {"": 1, "K": 1e3, "M": 1e6, "B": 1e9}[found["unit"].upper()])
    job = jobs.get(db, batch.job_id)
    # what has ended since it was refused was beside it then
    others = budgets.queued_tokens(db, send.account, job.model, float(remote.created_at)) - batch.input_tokens
    if others > 0 and batch.input_tokens <= limit:  # beside others it was too much, by the count that decides
        learn_token_limit(db, send.account, job, min(limit, others + batch.input_tokens - 1))
        return False
    learn_token_limit(db, send.account, job, limit)
    # refused again and again though it was alone: too large by the provider's count, if not by ours
    too_large = batch.input_tokens > limit or (send.number >= TOO_OFTEN and batch.requests > 1)
    if too_large:
        learn_too_large(db, send.account, job, batch)
    return too_large


def _record_gone(pipeline: Pipeline, batch: Batch, remote_id: str, turn: Polled) -> None:
    """The provider knows no such batch: what it answered can't be had any more."""
    with pipeline.ledger.begin() as db:
        message = f"the provider no longer knows {remote_id}"
        if batches.write(db, batch, ended_at=time.time(), remote_status="gone", error_message=message):
            events.record(db, "gone", batch.job_id, batch.batch_id, remote_id=remote_id)
            turn.ended.append(batch.batch_id)


def not_closed_providers(pipeline: Pipeline) -> list[str]:
    """The providers that something is still expected of."""
    with pipeline.ledger.read() as db:
        return sorted({job.provider for job in jobs.not_closed(db)})
