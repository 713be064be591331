"""Webhooks that were taken: by their ids none is taken twice, and what they tell of is looked at, whoever dies."""

from __future__ import annotations

import time

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from batch_pipeline.ledger.tables import webhooks

KEPT_SECONDS = 4 * 24 * 3600.0
"""OpenAI tries for up to three days."""


def take(db: Connection, webhook_id: str, signed_at: int, remote_id: str) -> bool:
    """Keeps a webhook; False if it was taken before.

    Args:
        db: The transaction.
        webhook_id: The sender's, the same for each try.
        signed_at: When it was signed, in unix seconds, by the sender's clock.
        remote_id: The batch that it tells of.
    """
    now = time.time()
    db.execute(delete(webhooks).where(webhooks.c.received_at < now - KEPT_SECONDS))
    values = {"webhook_id": webhook_id, "signed_at": signed_at, "received_at": now, "remote_id": remote_id}
    try:
        with db.begin_nested():
            db.execute(insert(webhooks).values(values))
    except IntegrityError:
        return False
    return True


def signed_at(db: Connection, webhook_id: str) -> int | None:
    """When the one that was taken was signed."""
    return db.scalar(select(webhooks.c.signed_at).where(webhooks.c.webhook_id == webhook_id))


def not_looked_at(db: Connection) -> list[str]:
    """The remote ids of batches that webhooks told of and nobody has asked for since, the oldest first."""
    rows = select(webhooks.c.remote_id).where(webhooks.c.looked_at.is_(None)).order_by(webhooks.c.received_at)
    return list(dict.fromkeys(db.scalars(rows)))


def looked_at(db: Connection, remote_id: str) -> None:
    """The batch was asked for, or is none of ours."""
    open_ = (webhooks.c.remote_id == remote_id) & webhooks.c.looked_at.is_(None)
    db.execute(update(webhooks).where(open_).values(looked_at=time.time()))
