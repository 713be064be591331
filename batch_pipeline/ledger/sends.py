"""Sends: one row for each attempt to create a batch at the provider. A column is written once.

What to do next is read from the row, by any process; see docs/how-it-works.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from secrets import token_hex

from sqlalchemy import Connection, exists, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from batch_pipeline.ledger.rows import chunked, compare_and_set, row_of
from batch_pipeline.ledger.tables import batches, sends

VOID, DOUBLED = "void", "doubled"
"""Ends of an attempt: nothing came of it; or it was given up, and a batch came of it after all, a second one."""
CAME_TO_NOTHING = (VOID, DOUBLED)


@dataclass(frozen=True)
class Send:
    """A row of `sends`; its columns are described in `tables.py`."""

    batch_id: str
    number: int
    claim: str
    account: str
    claimed_at: float
    file_id: str | None = None
    uploaded_at: float | None = None
    posted_at: float | None = None
    fenced_at: float | None = None
    remote_id: str | None = None
    end: str | None = None
    held: str | None = None
    sent_sha256: str | None = None

    @property
    def counts(self) -> bool:
        """Whether the batch is, or may be, what came of it."""
        return self.end not in CAME_TO_NOTHING


def of_batch(db: Connection, batch_id: str) -> list[Send]:
    """All attempts to create the batch, in order."""
    rows = db.execute(select(sends).where(sends.c.batch_id == batch_id).order_by(sends.c.number)).mappings()
    return [row_of(Send, row) for row in rows]


def open_of_batch(db: Connection, batch_id: str) -> list[Send]:
    """The attempts that have not ended; more than one only after `remember`."""
    return [send for send in of_batch(db, batch_id) if send.end is None]


def by_batch(db: Connection, job_ids: Sequence[str]) -> dict[str, list[Send]]:
    """All attempts to create the batches of these jobs, by batch, in order."""
    found: dict[str, list[Send]] = {}
    for chunk in chunked(job_ids):
        of_jobs = select(sends).join(batches).where(batches.c.job_id.in_(chunk)).order_by(sends.c.number)
        for send in (row_of(Send, row) for row in db.execute(of_jobs).mappings()):
            found.setdefault(send.batch_id, []).append(send)
    return found


def last_of_batch(db: Connection, batch_id: str) -> Send | None:
    """The attempt that the batch's remote id comes from, else the last one."""
    attempts = of_batch(db, batch_id)
    created = [send for send in attempts if send.remote_id is not None and send.counts]
    return (created or attempts or [None])[-1]


def claim(db: Connection, batch_id: str, account: str) -> Send | None:
    """A new attempt, if every earlier one has ended; None if another process was first."""
    token = token_hex(8)
    next_number = (
        select(literal(batch_id), func.count() + 1, literal(token), literal(account), literal(time.time()))
        .where(sends.c.batch_id == batch_id)
        .having(func.count() == func.count(sends.c.end))
    )
    columns = ["batch_id", "number", "claim", "account", "claimed_at"]
    try:
        with db.begin_nested():
            claimed = db.execute(insert(sends).from_select(columns, next_number)).rowcount
    except IntegrityError:
        return None
    return next((send for send in open_of_batch(db, batch_id) if send.claim == token), None) if claimed else None


def given_up(db: Connection, claim: str) -> Send | None:
    """The attempt of that claim, if it was given up and nothing has come of it."""
    void = select(sends).where(sends.c.claim == claim, sends.c.end == VOID, sends.c.remote_id.is_(None))
    row = db.execute(void).mappings().one_or_none()
    return row_of(Send, row) if row else None


def write(db: Connection, send: Send, **values: object) -> Send | None:
    """Changes the row if it still is `send`; None if somebody else moved it."""
    return compare_and_set(db, sends, send, **values)


def post(db: Connection, send: Send, posted: Send) -> Send | None:
    """The right to POST, as `posted` has it: given once, and only while no other attempt of the batch is open."""
    other = sends.alias()
    rival = exists().where(other.c.batch_id == send.batch_id, other.c.claim != send.claim, other.c.end.is_(None))
    return compare_and_set(db, sends, send, ~rival, posted_at=posted.posted_at, sent_sha256=posted.sent_sha256)


def claims(db: Connection) -> set[str]:
    """Every claim that is known here."""
    return set(db.scalars(select(sends.c.claim)))


def remote_ids(db: Connection) -> set[str]:
    """Every provider batch that is known here."""
    return set(db.scalars(select(sends.c.remote_id).where(sends.c.remote_id.is_not(None))))


def behind(db: Connection, marked: set[str]) -> set[str]:
    """Those of the marked claims that are unknown here, or known and not as posted."""
    settled = select(sends.c.claim).where(sends.c.posted_at.is_not(None) | sends.c.end.is_not(None))
    return marked - set(db.scalars(settled))


def remember(db: Connection, marked: Send) -> None:
    """Writes in an attempt that may have been posted, as its marker tells it."""
    row = db.execute(select(sends).where(sends.c.claim == marked.claim)).mappings().one_or_none()
    if row is None:
        number = db.scalar(select(func.count() + 1).where(sends.c.batch_id == marked.batch_id)) or 1
        db.execute(insert(sends).values(asdict(replace(marked, number=number))))
    elif row["posted_at"] is None and row["end"] is None:
        columns = ("file_id", "uploaded_at", "posted_at", "sent_sha256")
        told = {column: getattr(marked, column) for column in columns}
        db.execute(update(sends).where(sends.c.claim == marked.claim).values(told))
