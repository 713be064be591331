"""A batch of messages as Anthropic shows it."""

from __future__ import annotations

from datetime import UTC, datetime

from batch_pipeline.local_server.records import BatchRecord
from batch_pipeline.wire.batch import BatchObject
from batch_pipeline.wire.messages import MessageBatch, MessageCounts


def as_message_batch(record: BatchRecord, base_url: str, now: float) -> MessageBatch:
    """The batch as a client gets to see it; `base_url` is the server's, without a slash at its end."""
    shown = record.seen(now)
    ended = shown.completed_at or shown.expired_at or shown.cancelled_at
    results = f"{base_url}/v1/messages/batches/{record.id}/results"
    return MessageBatch(
        id=record.id,
        processing_status="ended" if shown.ended else "canceling" if shown.status == "cancelling" else "in_progress",
        request_counts=_counts(shown),
        created_at=_moment(record.created),
        expires_at=_moment(shown.expires_at or 0),
        ended_at=_moment(ended) if ended else None,
        cancel_initiated_at=_moment(shown.cancelling_at) if shown.cancelling_at else None,
        results_url=results if shown.output_file_id else None,
    )


def _counts(shown: BatchObject) -> MessageCounts:
    """Nothing but `processing` until the whole batch has ended."""
    counts = shown.request_counts
    if counts is None or not shown.ended:
        return MessageCounts(processing=counts.total if counts else 0)
    left = max(0, counts.total - counts.completed - counts.failed)
    return MessageCounts(
        succeeded=counts.completed,
        errored=counts.failed,
        canceled=left if shown.status == "cancelled" else 0,
        expired=left if shown.status == "expired" else 0,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
