"""Decides what becomes of each candidate of a plan.

Taken before looked up, freed after committed: see `docs/how-it-works.md`, "What is bought once".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.batches.requests import prepared
from batch_pipeline.batches.requests.candidates import CHUNK_BYTES, Chunk
from batch_pipeline.batches.requests.counting import Counts
from batch_pipeline.batches.requests.indexes import RecordRow, Share
from batch_pipeline.batches.requests.request_files import Input, Limits, Request
from batch_pipeline.ledger import fingerprints, jobs
from batch_pipeline.ledger.fingerprints import Holder
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.warehouse import lookups

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TOGETHER = 5
"""Chunks whose fingerprints are taken in one transaction, and looked up together. They are in no order, so each
transaction writes most pages of a large index (a million took 16 s of CPU in pieces of 10,000), and each look reads
what all that was bought before has there."""


@dataclass
class Tally:
    """What a plan has come to so far."""

    seen: int = 0
    """Records that the selection gave."""
    records: int = 0
    """Those that the job has to answer; one in parts counts once for each."""
    by_share: Counter[Share] = field(default_factory=Counter[Share])
    given_up: int = 0
    taken: Counter[str] = field(default_factory=Counter[str])

    def on(self, job: Job, selected: int) -> Job:
        """The job, with these figures."""
        return replace(
            job,
            selected=selected,
            skipped=max(0, selected - self.seen),
            given_up=self.given_up,
            records=self.records,
            reused=self.by_share["reused"],
            waiting=self.by_share["waiting"],
            unsendable=self.by_share["unsendable"],
            taken=dict(self.taken),
        )


@dataclass(frozen=True, slots=True)
class Decided:
    """What becomes of a chunk's records."""

    chunk: Chunk
    send: list[str]
    counts: Counts
    records: list[RecordRow]
    waiting: list[bytes]
    """The lines that are waited for."""

    def requests(self) -> list[Request]:
        """What to send, as soon as its tokens are counted."""
        names = self.chunk.custom_ids
        counted = zip(self.send, self.counts(), strict=True)
        return self.chunk.requests([Input(names[fp], fp, count) for fp, count in counted])


class Planner:
    """Decides, chunk by chunk, what becomes of each candidate."""

    def __init__(
        self,
        pipeline: Pipeline,
        job: Job,
        connection: DuckDBPyConnection,
        limits: Limits,
        *,
        force: bool,
    ) -> None:
        self.tally = Tally()
        self._pipeline = pipeline
        self._job = job
        self._connection = connection
        self._limits = limits
        self._force = force

    def decide(self, chunks: Iterable[Chunk]) -> Generator[Decided]:
        """What to send, every record with its share, and the lines that are waited for, chunk by chunk."""
        for group in _groups(chunks):
            wanted: dict[str, str] = {}
            for chunk in reversed(group):  # of identical requests the first is sent
                wanted.update(chunk.custom_ids)
            held = dict(self._take(wanted))
            reach("plan.inflight_taken")
            unusable = [fingerprint for chunk in group for fingerprint in chunk.unusable]
            self._given_up, self._answered = self._bought_before([fp for fp in wanted if fp not in held] + unusable)
            self._too_large: set[str] = set()
            while group:
                chunk = group.pop(0)
                decided = self._decide(chunk, {fp: held[fp] for fp in chunk.custom_ids if fp in held})
                held |= {fp: Holder(self._job.job_id, wanted[fp]) for fp in decided.send}
                yield decided

    def _decide(self, chunk: Chunk, held: Mapping[str, Holder]) -> Decided:
        mine = {fp: holder.custom_id for fp, holder in held.items() if holder.job_id == self._job.job_id}
        waiting = [fp for fp in held if fp not in mine]
        free = [fp for fp in chunk.lines if fp not in held]
        too_large = {fp for fp in free if len(chunk.lines[fp]) > self._limits.max_bytes or fp in self._too_large}
        self._too_large |= too_large
        given_up = self._given_up.intersection([*free, *chunk.unusable])
        answered = self._answered.intersection([*free, *chunk.unusable])
        send = [fp for fp in free if fp not in given_up and fp not in answered and fp not in too_large]
        unsendable = (too_large | chunk.unusable.keys()) - given_up
        self._settle(waiting, [*given_up, *answered, *too_large])
        shares: dict[str, Share] = {
            **dict.fromkeys(send, "sent"),
            **dict.fromkeys(mine, "sent"),
            **dict.fromkeys(waiting, "waiting"),
            **dict.fromkeys(unsendable, "unsendable"),
            **dict.fromkeys(answered, "reused"),
        }
        records = self._records(chunk, shares, mine)
        if given_up:
            records = _still_wanted(records, chunk)
        self._count(chunk, records)
        return Decided(chunk, send, chunk.input_tokens(send), records, [chunk.lines[fp] for fp in waiting])

    def _take(self, wanted: Mapping[str, str]) -> Mapping[str, Holder]:
        with self._pipeline.ledger.begin(alone=False) as db:
            jobs.must_be_planner(db, self._job.job_id, self._job.planner or "")
            return fingerprints.take(db, self._job.job_id, wanted)

    def _bought_before(self, free: list[str]) -> tuple[set[str], set[str]]:
        if self._force:
            return set(), set()
        with self._pipeline.ledger.read() as db:
            given_up = fingerprints.which_given_up(db, free)
        return given_up, lookups.answered(self._connection, free) - given_up

    def _settle(self, waiting: Collection[str], not_sent: list[str]) -> None:
        if not waiting and not not_sent:
            return
        with self._pipeline.ledger.begin(alone=False) as db:
            jobs.must_be_planner(db, self._job.job_id, self._job.planner or "")
            fingerprints.wait_for(db, self._job.job_id, waiting)
            fingerprints.free(db, self._job.job_id, not_sent)

    def _records(self, chunk: Chunk, shares: Mapping[str, Share], mine: Mapping[str, str]) -> list[RecordRow]:
        rows: list[RecordRow] = []
        for record in chunk.records:
            fp = record.fingerprint
            if (share := shares.get(fp)) is None:
                continue
            request = (mine.get(fp) or chunk.custom_ids[fp]) if share == "sent" else record.custom_id
            code, note = self._why_not(chunk, fp) if share == "unsendable" else (None, None)
            rows.append(RecordRow(*record[:5], fp, request, share, code, note))
        return rows

    def _why_not(self, chunk: Chunk, fingerprint: str) -> tuple[str, str]:
        if (unusable := chunk.unusable.get(fingerprint)) is not None:
            return unusable.code, unusable.message
        size, most = len(chunk.lines[fingerprint]), self._limits.max_bytes
        why = f"the request has {size:,} bytes, and a file may have {most:,}: shorten it with truncate_at"
        return "request_too_large", why

    def _count(self, chunk: Chunk, records: list[RecordRow]) -> None:
        self.tally.seen += len({record.record_id for record in chunk.records})
        self.tally.records += len(records)
        self.tally.given_up += len(chunk.records) - len(records)
        self.tally.by_share.update(record.share for record in records)
        if chunk.records and chunk.records[0].before is not None:  # all of an attempt have, and none of a job
            planned = {record.record_id for record in records}
            self.tally.taken.update(r.before for r in chunk.records if r.before is not None and r.record_id in planned)


def _groups(chunks: Iterable[Chunk]) -> Generator[list[Chunk]]:
    """The chunks whose fingerprints are taken together; one that is large by its bytes goes alone."""
    group: list[Chunk] = []
    size = 0
    for chunk in chunks:
        group.append(chunk)
        size += sum(map(len, chunk.lines.values()))
        if len(group) == TOGETHER or len(chunk.records) < prepared.CHUNK or size > CHUNK_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _still_wanted(rows: list[RecordRow], chunk: Chunk) -> list[RecordRow]:
    """Without records of which some parts were given up, and all others were answered: nothing is left to do."""
    kept = {(row.record_id, row.part) for row in rows}
    incomplete = {record.record_id for record in chunk.records if (record.record_id, record.part) not in kept}
    if not incomplete:
        return rows
    going = {row.record_id for row in rows if row.share != "reused"}
    return [row for row in rows if row.record_id not in incomplete or row.record_id in going]
