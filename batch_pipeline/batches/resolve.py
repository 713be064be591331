"""Resolve: a person decides about a batch that nothing here can decide about."""

from __future__ import annotations

from dataclasses import dataclass

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.settle import record_created, record_void
from batch_pipeline.errors import MissingKey, UsageError
from batch_pipeline.ledger import batches, jobs, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.sends import Send
from batch_pipeline.providers import Provider
from batch_pipeline.wire.batch import BatchObject


@dataclass(frozen=True)
class Question:
    """What is known of a batch whose create is open; times are unix seconds, `bound_usd` is its worst case."""

    batch_id: str
    job_id: str
    provider: str
    claim: str
    file_id: str | None
    filename: str | None
    """None where the requests were in the body of the create, and only its custom_ids carry the claim."""
    claimed_at: float
    posted_at: float | None
    fenced_at: float | None
    held: str | None
    requests: int
    bound_usd: float
    same_account: bool | None
    """Whether it was sent with the key and base URL of now; None where there is no key now."""


def question(pipeline: Pipeline, batch_id: str) -> Question:
    """What a person needs to know to decide; nobody is asked, nothing is changed.

    Raises:
        UsageError: There is no such batch, or nothing about it is open.
    """
    batch, send = _open(pipeline, batch_id)
    with pipeline.ledger.read() as db:
        provider = jobs.get(db, batch.job_id).provider
    return Question(
        batch_id=batch_id,
        job_id=batch.job_id,
        provider=provider,
        claim=send.claim,
        file_id=send.file_id,
        filename=None if send.sent_sha256 else f"{pipeline.pipeline_id}-{batch_id}-{send.claim}.jsonl",
        claimed_at=send.claimed_at,
        posted_at=send.posted_at,
        fenced_at=send.fenced_at,
        held=send.held,
        requests=batch.requests,
        bound_usd=batch.bound_usd,
        same_account=_same_account(pipeline, provider, send),
    )


def adopt(pipeline: Pipeline, batch_id: str, remote_id: str) -> None:
    """The batch is the one that the provider has as `remote_id`; it is followed and collected as such.

    Raises:
        UsageError: There is no such batch, nothing about it is open, or what the provider has under that id is none,
            or another batch.
    """
    batch, send = _open(pipeline, batch_id)
    with pipeline.ledger.read() as db:
        provider = pipeline.provider(jobs.get(db, batch.job_id).provider)
    remote = provider.get(remote_id)
    if remote is None:
        raise UsageError(f"The provider has no batch `{remote_id}` for this key, so `{batch_id}` can't be it.")
    _must_not_be_another(pipeline, provider, batch_id, send, remote)
    if (why_not := record_created(pipeline, batch, send, remote, "adopted by a person")) is not None:
        raise UsageError(f"`{batch_id}` was not changed: {why_not}.")


def recreate(pipeline: Pipeline, batch_id: str) -> None:
    """The batch does not exist at the provider, says a person: it is sent anew with the next turn.

    Raises:
        UsageError: There is no such batch, or nothing about it is open.
    """
    batch, send = _open(pipeline, batch_id)
    record_void(pipeline, batch, send)


def _must_not_be_another(
    pipeline: Pipeline, provider: Provider, batch_id: str, send: Send, remote: BatchObject
) -> None:
    """A server that drops metadata leaves it to the person; one whose batch tells its claim has the last word."""
    claim = provider.claim_of(remote)
    with pipeline.ledger.read() as db:
        known = remote.id in sends.remote_ids(db)
    if known or (claim is not None and not send.claim.startswith(claim)):
        raise UsageError(
            f"`{remote.id}` is another batch, not `{batch_id}`: look for the one that carries claim {send.claim}."
        )


def _same_account(pipeline: Pipeline, provider: str, send: Send) -> bool | None:
    try:
        return pipeline.provider(provider).account == send.account
    except MissingKey:
        return None


def _open(pipeline: Pipeline, batch_id: str) -> tuple[Batch, Send]:
    with pipeline.ledger.read() as db:
        if not batches.exists(db, batch_id):
            raise UsageError(f"There is no batch `{batch_id}`. `batch-pipeline status JOB` shows a job's batches.")
        unsettled = [send for send in sends.open_of_batch(db, batch_id) if send.remote_id is None]
        if not unsettled:
            raise UsageError(f"Batch `{batch_id}` has no open question: there is nothing to resolve.")
        return batches.get(db, batch_id), unsettled[-1]
