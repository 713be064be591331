"""Keys of calls that may be repeated: what was asked with each, and who was to answer it then."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from batch_pipeline.ledger.rows import row_of
from batch_pipeline.ledger.tables import idempotency_keys
from batch_pipeline.settings import ProviderName

KEPT_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True)
class Key:
    """A row of `idempotency_keys`; its columns are described in `tables.py`."""

    key: str
    sha256: str
    provider: ProviderName
    model: str
    created_at: float = 0.0


def take(db: Connection, key: Key) -> Key:
    """The key as it was first used: now, or by an earlier call."""
    now = time.time()
    db.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEPT_SECONDS))
    try:
        with db.begin_nested():
            db.execute(insert(idempotency_keys).values(asdict(key) | {"created_at": now}))
    except IntegrityError:
        row = db.execute(select(idempotency_keys).where(idempotency_keys.c.key == key.key)).mappings().one()
        return row_of(Key, row)
    return key
