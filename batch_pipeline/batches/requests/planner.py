"""Decides what becomes of each candidate of a plan.

Taken before looked up, freed after committed: see `docs/how-it-works.md`, "What is bought once".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.batches.requests import prepared
from batch_pipeline.batches.requests.candidates import CHUNK_BYTES, Chunk
from batch_pipeline.batches.requests.counting import Counts
from batch_pipeline.batches.requests.indexes import RecordRows, Share
from batch_pipeline.batches.requests.request_files import Limits, Requests
from batch_pipeline.ledger import fingerprints, jobs
from batch_pipeline.ledger.fingerprints import Holder
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.warehouse import lookups
from batch_pipeline.warehouse.without_pandas import without_pandas

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TOGETHER = 3
"""Chunks whose fingerprints are taken in one transaction, and looked up together. They are in no order, so each
transaction writes most pages of a large index (a million took 16 s of CPU in pieces of 10,000), and each look reads
what all that was bought before has there. Two such groups are in memory."""


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
    records: RecordRows
    waiting: list[bytes]
    """The lines that are waited for."""

    def requests(self) -> Requests:
        """What to send, as soon as its tokens are counted."""
        return self.chunk.requests(self.send, self.counts())


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of the fingerprints of a group of chunks."""

    held: Mapping[str, Holder]
    """Those that could not be taken, and by whom they are held."""
    given_up: set[str]
    answered: set[str]
    repeats: bool
    """Whether one of them is in two chunks."""


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
        """What to send, every record with its share, and the lines that are waited for, chunk by chunk.

        What is held and what was bought is asked in another thread, while the chunks before are written and those
        behind are made; nothing is taken before all is decided that was taken earlier.
        """
        with ThreadPoolExecutor(1) as beside:
            asked: tuple[list[Chunk], Future[_Found]] | None = None
            for group in _groups(chunks):
                decided = self._decided(*asked) if asked else []
                asked = group, beside.submit(self._find, group)
                yield from _emptied(decided)
            decided = self._decided(*asked) if asked else []
            asked, tidied = None, beside.submit(self._all_taken)
            yield from _emptied(decided)
            tidied.result()

    @without_pandas()  # for each thread of its own
    def _find(self, group: Sequence[Chunk]) -> _Found:
        wanted: dict[str, str] = {}
        for chunk in reversed(group):  # of identical requests the first is sent
            wanted.update(chunk.custom_ids)
        held = self._take(wanted)
        reach("plan.inflight_taken")
        unusable = [fingerprint for chunk in group for fingerprint in chunk.unusable]
        given_up, answered = self._bought_before([*_without(wanted, held), *unusable])
        return _Found(held, given_up, answered, repeats=sum(len(chunk.custom_ids) for chunk in group) > len(wanted))

    def _decided(self, group: Sequence[Chunk], asked: Future[_Found]) -> list[Decided]:
        found, sent, too_large = asked.result(), dict[str, str](), set[str]()
        decided: list[Decided] = []
        for chunk in group:
            decided.append(self._decide(chunk, found, sent, too_large))
            if found.repeats:
                sent.update((fp, chunk.custom_ids[fp]) for fp in decided[-1].send)
        return decided

    def _decide(self, chunk: Chunk, found: _Found, sent: Mapping[str, str], large: set[str]) -> Decided:
        """Decides, where the group's earlier chunks send what is `sent`, under these names.

        What has no room in any file is put into `large`, and was by these.
        """
        held = {fp: found.held[fp] for fp in chunk.custom_ids if fp in found.held} if found.held else {}
        mine = {fp: holder.custom_id for fp, holder in held.items() if holder.job_id == self._job.job_id}
        mine |= {fp: sent[fp] for fp in sent.keys() & chunk.custom_ids.keys()}
        waiting = [fp for fp in held if fp not in mine]
        free = _without(chunk.bodies, held, mine)
        too_large = {*chunk.longer_than(self._limits.max_bytes, free), *large.intersection(free)}
        large.update(too_large)
        given_up = found.given_up.intersection([*free, *chunk.unusable])
        answered = found.answered.intersection([*free, *chunk.unusable])
        send = _without(free, given_up, answered, too_large)
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
        return Decided(chunk, send, chunk.input_tokens(send), records, chunk.lines(waiting).each())

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

    def _all_taken(self) -> None:
        self._pipeline.ledger.write_back()

    def _settle(self, waiting: Collection[str], not_sent: list[str]) -> None:
        if not waiting and not not_sent:
            return
        with self._pipeline.ledger.begin(alone=False) as db:
            jobs.must_be_planner(db, self._job.job_id, self._job.planner or "")
            fingerprints.wait_for(db, self._job.job_id, waiting)
            fingerprints.free(db, self._job.job_id, not_sent)

    def _records(self, chunk: Chunk, shares: Mapping[str, Share], mine: Mapping[str, str]) -> RecordRows:
        """Those with a share; who is sent is answered by the first of identical requests."""
        asked, ids = chunk.records, {**chunk.custom_ids, **mine}
        found = list(map(shares.get, asked.fingerprint))
        places = zip(found, asked.fingerprint, asked.custom_id, strict=True)
        names = [ids[fingerprint] if share == "sent" else own for share, fingerprint, own in places]
        unsendable = [fingerprint for fingerprint, share in shares.items() if share == "unsendable"]
        reasons = {fingerprint: self._why_not(chunk, fingerprint) for fingerprint in unsendable}
        codes, notes = ({fp: reason[part] for fp, reason in reasons.items()} for part in (0, 1))
        rows = RecordRows(
            *(asked.record_id, asked.repo, asked.night, asked.content_hash, asked.part, asked.fingerprint),
            names,
            cast("list[Share]", found),
            list(map(codes.get, asked.fingerprint)),
            list(map(notes.get, asked.fingerprint)),
        )
        return rows.at([place for place, share in enumerate(found) if share]) if None in found else rows

    def _why_not(self, chunk: Chunk, fingerprint: str) -> tuple[str, str]:
        if (unusable := chunk.unusable.get(fingerprint)) is not None:
            return unusable.code, unusable.message
        size, most = chunk.lines([fingerprint]).sizes[0], self._limits.max_bytes
        why = f"the request has {size:,} bytes, and a file may have {most:,}: shorten it with truncate_at"
        return "request_too_large", why

    def _count(self, chunk: Chunk, records: RecordRows) -> None:
        self.tally.seen += len(set(chunk.records.record_id))
        self.tally.records += len(records)
        self.tally.given_up += len(chunk.records) - len(records)
        self.tally.by_share.update(records.share)
        if chunk.records.before is not None:
            planned = set(cast("Sequence[str]", records.record_id))
            before = zip(chunk.records.record_id, chunk.records.before, strict=True)
            self.tally.taken.update(outcome for name, outcome in before if outcome is not None and name in planned)


def _without(fingerprints: Iterable[str], *others: Collection[str]) -> list[str]:
    """Those that are in none of the others, of which most are empty most of the time."""
    others = tuple(filter(None, others))
    return [fp for fp in fingerprints if not any(fp in other for other in others)] if others else list(fingerprints)


def _emptied(decided: list[Decided]) -> Generator[Decided]:
    """Each of them, which nobody has in memory then."""
    while decided:
        yield decided.pop(0)


def _groups(chunks: Iterable[Chunk]) -> Generator[list[Chunk]]:
    """The chunks whose fingerprints are taken together; one that is large by its bytes is the last of its group."""
    group: list[Chunk] = []
    size = 0
    for chunk in chunks:
        group.append(chunk)
        size += sum(map(len, chunk.bodies.values()))
        if len(group) == TOGETHER or len(chunk.records) < prepared.CHUNK or size > CHUNK_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _still_wanted(rows: RecordRows, chunk: Chunk) -> RecordRows:
    """Without records of which some parts were given up, and all others were answered: nothing is left to do."""
    ids = cast("Sequence[str]", rows.record_id)
    kept = set(zip(ids, cast("Sequence[int]", rows.part), strict=True))
    asked = zip(chunk.records.record_id, chunk.records.part, strict=True)
    incomplete = {name for name, part in asked if (name, part) not in kept}
    going = {name for name, share in zip(ids, rows.share, strict=True) if share != "reused"}
    return rows.at([place for place, name in enumerate(ids) if name not in incomplete or name in going])
