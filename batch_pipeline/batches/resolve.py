"""Resolve: a person decides about a batch that nothing here can decide about."""

from __future__ import annotations

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.settle import record_created, record_void
from batch_pipeline.errors import UsageError
from batch_pipeline.ledger import batches, jobs, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.sends import Send


def adopt(pipeline: Pipeline, batch_id: str, remote_id: str) -> None:
    """The batch is the one that the provider has as `remote_id`; it is followed and collected as such.

    Raises:
        UsageError: There is no such batch, nothing about it is open, or the provider has none of that id.
    """
    batch, send = _open(pipeline, batch_id)
    with pipeline.ledger.read() as db:
        provider = pipeline.provider(jobs.get(db, batch.job_id).provider)
    remote = provider.get(remote_id)
    if remote is None:
        raise UsageError(f"The provider has no batch `{remote_id}` for this key, so `{batch_id}` can't be it.")
    if (why_not := record_created(pipeline, batch, send, remote, "adopted by a person")) is not None:
        raise UsageError(f"`{batch_id}` was not changed: {why_not}.")


def recreate(pipeline: Pipeline, batch_id: str) -> None:
    """The batch does not exist at the provider, says a person: it is sent anew with the next turn.

    Raises:
        UsageError: There is no such batch, or nothing about it is open.
    """
    batch, send = _open(pipeline, batch_id)
    record_void(pipeline, batch, send)


def _open(pipeline: Pipeline, batch_id: str) -> tuple[Batch, Send]:
    with pipeline.ledger.read() as db:
        if not batches.exists(db, batch_id):
            raise UsageError(f"There is no batch `{batch_id}`. `batch-pipeline status JOB` shows a job's batches.")
        unsettled = [send for send in sends.open_of_batch(db, batch_id) if send.remote_id is None]
        if not unsettled:
            raise UsageError(f"Batch `{batch_id}` has no open question: there is nothing to resolve.")
        return batches.get(db, batch_id), unsettled[-1]
