"""Fingerprints: which request is in flight for whom, who waits for it, and which nobody asks again.

`inflight` is taken before answers are looked up and freed after they are committed; any other order buys twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from batch_pipeline.ledger.rows import chunked
from batch_pipeline.ledger.tables import given_up, inflight, waits


@dataclass(frozen=True)
class Holder:
    """Who has a request in flight: the job, and the request's id in it."""

    job_id: str
    custom_id: str


def take(db: Connection, job_id: str, wanted: Mapping[str, str]) -> dict[str, Holder]:
    """Takes the fingerprints of `wanted` (fingerprint to custom_id) that are free.

    Returns:
        Those that were not free, with their holders; a holder may be this very job.
    """
    held = holders(db, list(wanted))
    free = [
        {"fingerprint": fingerprint, "job_id": job_id, "custom_id": custom_id}
        for fingerprint, custom_id in wanted.items()
        if fingerprint not in held
    ]
    if free:
        db.execute(insert(inflight), free)
    return held


def holders(db: Connection, fingerprints: Sequence[str]) -> dict[str, Holder]:
    """Those of the fingerprints that are in flight, with who has them."""
    held: dict[str, Holder] = {}
    for chunk in chunked(fingerprints):
        rows = db.execute(select(inflight).where(inflight.c.fingerprint.in_(chunk))).all()
        held |= {row.fingerprint: Holder(row.job_id, row.custom_id) for row in rows}
    return held


def free(db: Connection, job_id: str, fingerprints: Sequence[str]) -> None:
    """Frees those of the fingerprints that the job holds."""
    for chunk in chunked(fingerprints):
        db.execute(delete(inflight).where(inflight.c.job_id == job_id, inflight.c.fingerprint.in_(chunk)))


def wait_for(db: Connection, job_id: str, fingerprints: Iterable[str]) -> None:
    """Notes that the job waits for another job's answers; again is no more."""
    wanted = list(dict.fromkeys(fingerprints))
    for chunk in chunked(wanted):
        noted = set(
            db.scalars(select(waits.c.fingerprint).where(waits.c.job_id == job_id, waits.c.fingerprint.in_(chunk)))
        )
        rows = [{"job_id": job_id, "fingerprint": fingerprint} for fingerprint in chunk if fingerprint not in noted]
        if rows:
            db.execute(insert(waits), rows)


def still_waiting(db: Connection, job_id: str) -> bool:
    """Whether something that the job waits for is still in flight."""
    awaited = select(waits.c.fingerprint).join(inflight, inflight.c.fingerprint == waits.c.fingerprint)
    return db.execute(awaited.where(waits.c.job_id == job_id).limit(1)).first() is not None


def waited_for(db: Connection, job_id: str) -> list[str]:
    """The jobs that have in flight what this job waits for."""
    awaited = select(inflight.c.job_id).join(waits, inflight.c.fingerprint == waits.c.fingerprint)
    return list(db.scalars(awaited.where(waits.c.job_id == job_id).distinct().order_by(inflight.c.job_id)))


def give_up(db: Connection, job_id: str, task: str, reasons: Mapping[str, tuple[str, str | None]]) -> None:
    """Notes that no later plan shall buy these (fingerprint to outcome and reason)."""
    for chunk in chunked(list(reasons)):
        db.execute(delete(given_up).where(given_up.c.fingerprint.in_(chunk)))
    rows = [
        {"fingerprint": fp, "task": task, "job_id": job_id, "outcome": outcome, "reason": reason, "at": time.time()}
        for fp, (outcome, reason) in reasons.items()
    ]
    if rows:
        db.execute(insert(given_up), rows)


def forget_given_up(db: Connection, fingerprints: Sequence[str]) -> None:
    """A person asks for these again."""
    for chunk in chunked(fingerprints):
        db.execute(delete(given_up).where(given_up.c.fingerprint.in_(chunk)))


def forgive(db: Connection, fingerprints: Sequence[str]) -> list[Mapping[str, object]]:
    """A person asks for these again; gives the rows, for `give_up_again`."""
    rows: list[Mapping[str, object]] = []
    for chunk in chunked(fingerprints):
        found = select(given_up).where(given_up.c.fingerprint.in_(chunk))
        rows += [dict(row) for row in db.execute(found).mappings()]
    forget_given_up(db, fingerprints)
    return rows


def give_up_again(db: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Nothing came of it: they are given up as they were, unless they were given up anew."""
    known = which_given_up(db, [str(row["fingerprint"]) for row in rows])
    if left := [dict(row) for row in rows if row["fingerprint"] not in known]:
        db.execute(insert(given_up), left)


def which_given_up(db: Connection, fingerprints: Sequence[str]) -> set[str]:
    """Those of the fingerprints that nobody asks again."""
    found: set[str] = set()
    for chunk in chunked(fingerprints):
        found |= set(db.scalars(select(given_up.c.fingerprint).where(given_up.c.fingerprint.in_(chunk))))
    return found
