"""Fingerprints: which request is in flight for whom, who waits for it, and which nobody asks again.

`inflight` is taken before answers are looked up and freed after they are committed; any other order buys twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, delete, insert, select, text

from batch_pipeline.ledger.rows import among, insert_many
from batch_pipeline.ledger.tables import given_up, inflight, waits


@dataclass(frozen=True)
class Holder:
    """Who has a request in flight: the job, and the request's id in it."""

    job_id: str
    custom_id: str


def take(db: Connection, job_id: str, wanted: Mapping[str, str]) -> dict[str, Holder]:
    """Takes the fingerprints of `wanted` (fingerprint to custom_id) that are free.

    Returns:
        Those that were not free, with their holders; a holder may be this very job, under another custom_id.
    """
    held: dict[str, Holder] = {}
    rest = wanted
    while _insert(db, job_id, rest) < len(rest):
        now = holders(db, list(rest))
        held |= {
            fingerprint: holder for fingerprint, holder in now.items() if holder != Holder(job_id, rest[fingerprint])
        }
        rest = {fp: name for fp, name in rest.items() if fp not in now}  # on Postgres, others free some meanwhile
    return held


def _insert(db: Connection, job_id: str, wanted: Mapping[str, str]) -> int:
    """Takes what is free in one statement, half the time of looking first, and of a row each; how many.

    In their order: an index is walked through once, and two that take the same wait for each other in turn.
    """
    if not wanted:
        return 0
    listed = orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS).decode()
    sql = _INSERT_ON_SQLITE if db.dialect.name == "sqlite" else _INSERT_ON_POSTGRES
    return db.execute(text(sql), {"job_id": job_id, "wanted": listed}).rowcount


# with IGNORE nothing fails in the middle, so SQLite keeps no second copy of what it changes: a fifth less time
_INSERT_ON_SQLITE = """
    INSERT OR IGNORE INTO inflight (fingerprint, job_id, custom_id) SELECT key, :job_id, value FROM json_each(:wanted)
"""
_INSERT_ON_POSTGRES = """
    INSERT INTO inflight (fingerprint, job_id, custom_id)
    SELECT key, :job_id, value FROM json_each_text(CAST(:wanted AS JSON)) ON CONFLICT DO NOTHING
"""


def holders(db: Connection, fingerprints: Sequence[str]) -> dict[str, Holder]:
    """Those of the fingerprints that are in flight, with who has them."""
    rows = db.execute(select(inflight).where(among(db, inflight.c.fingerprint, fingerprints))).all()
    return {row.fingerprint: Holder(row.job_id, row.custom_id) for row in rows}


def free(db: Connection, job_id: str, fingerprints: Sequence[str]) -> None:
    """Frees those of the fingerprints that the job holds."""
    db.execute(delete(inflight).where(inflight.c.job_id == job_id, among(db, inflight.c.fingerprint, fingerprints)))


def free_all(db: Connection, job_id: str) -> None:
    """Frees all that the job holds; where nobody else holds any, SQLite empties the table in no time."""
    whose = inflight.c.job_id
    if db.dialect.name == "sqlite" and not any(
        db.execute(select(whose).where(others).limit(1)).first() for others in (whose < job_id, whose > job_id)
    ):
        db.execute(delete(inflight))
    else:
        db.execute(delete(inflight).where(whose == job_id))


def wait_for(db: Connection, job_id: str, fingerprints: Iterable[str]) -> None:
    """Notes that the job waits for another job's answers; again is no more."""
    wanted = list(dict.fromkeys(fingerprints))
    mine = select(waits.c.fingerprint).where(waits.c.job_id == job_id, among(db, waits.c.fingerprint, wanted))
    noted = set(db.scalars(mine))
    rows = [(job_id, fingerprint) for fingerprint in wanted if fingerprint not in noted]
    insert_many(db, waits, ["job_id", "fingerprint"], rows)


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
    forget_given_up(db, list(reasons))
    rows = [(fp, task, job_id, outcome, reason, time.time()) for fp, (outcome, reason) in reasons.items()]
    insert_many(db, given_up, ["fingerprint", "task", "job_id", "outcome", "reason", "at"], rows)


def a_reason(db: Connection, job_ids: Sequence[str]) -> str | None:
    """Why one of the fingerprints that these jobs gave up was given up; None where they gave up none."""
    found = select(given_up.c.reason).where(given_up.c.job_id.in_(job_ids), given_up.c.reason.is_not(None)).limit(1)
    return db.scalar(found)


def forget_given_up(db: Connection, fingerprints: Sequence[str]) -> None:
    """A person asks for these again."""
    if fingerprints and _any_given_up(db):
        db.execute(delete(given_up).where(among(db, given_up.c.fingerprint, fingerprints)))


def forgive(db: Connection, fingerprints: Sequence[str]) -> list[Mapping[str, object]]:
    """A person asks for these again; gives the rows, for `give_up_again`."""
    found = select(given_up).where(among(db, given_up.c.fingerprint, fingerprints))
    rows: list[Mapping[str, object]] = [dict(row) for row in db.execute(found).mappings()]
    forget_given_up(db, fingerprints)
    return rows


def give_up_again(db: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Nothing came of it: they are given up as they were, unless they were given up anew."""
    known = which_given_up(db, [str(row["fingerprint"]) for row in rows])
    if left := [dict(row) for row in rows if row["fingerprint"] not in known]:
        db.execute(insert(given_up), left)


def which_given_up(db: Connection, fingerprints: Sequence[str]) -> set[str]:
    """Those of the fingerprints that nobody asks again."""
    if not _any_given_up(db):
        return set()
    return set(db.scalars(select(given_up.c.fingerprint).where(among(db, given_up.c.fingerprint, fingerprints))))


def _any_given_up(db: Connection) -> bool:
    return db.scalar(select(given_up.c.fingerprint).limit(1)) is not None
