"""From records to what is asked of them: bodies, fingerprints, and lines, chunk by chunk."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, partial
from typing import TYPE_CHECKING, cast

import orjson

from batch_pipeline.batches.money.tokens import TokenCounter, framing_tokens
from batch_pipeline.batches.requests.candidates import CHUNK_BYTES, Asked, Chunk, Records
from batch_pipeline.batches.requests.content import for_model, in_form_of, media_tokens, text_of, turns_in_form_of
from batch_pipeline.batches.requests.counting import Counting, Counts
from batch_pipeline.batches.requests.custom_id import custom_id
from batch_pipeline.batches.requests.envelope import Envelope, Turns
from batch_pipeline.batches.requests.lines import Lines
from batch_pipeline.batches.requests.prepared import CONTENT_HASH
from batch_pipeline.batches.requests.rendering import column_filler, renderer
from batch_pipeline.batches.requests.request_files import Input, Request
from batch_pipeline.batches.requests.text_asking import TextAsking
from batch_pipeline.tasks.content import Content, Messages, UnusableRecord
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.tasks.task import BatchTask, Record

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from batch_pipeline.batches.requests.prepared import Prepared

PACK_INPUTS = 256
PACK_TOKENS = 100_000
"""What one request for embeddings holds; OpenAI takes 2,048 inputs of 300,000 tokens in all."""
MEDIA_BYTES = 8 * 1024 * 1024
"""A chunk of images or documents is smaller: around what is kept of each, memory has a hole of the size that it was
unpacked to. 2,000 images held 1.2 GB in chunks of 64 MB, and hold 0.35 GB so."""
LONG_INPUT = 8_000
"""An input near the models' 8,192 tokens goes alone: should it be refused, it costs no other."""


def selected(
    connection: DuckDBPyConnection, task: BatchTask, snapshot: TaskSnapshot, prepared: Prepared, counting: Counting
) -> Generator[Chunk]:
    """The candidates of a selection, while it streams out of the warehouse."""
    asking = Asking(task, snapshot, counting.counter, counting)
    for batch in prepared.batches(connection):
        yield from asking.chunks(batch)


@dataclass(slots=True)
class _Gathered:
    """What a chunk will be; identical requests are one."""

    records: list[Asked] = field(default_factory=list[Asked])
    bodies: dict[str, bytes] = field(default_factory=dict[str, bytes])
    custom_ids: dict[str, str] = field(default_factory=dict[str, str])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    media_tokens: dict[str, int] = field(default_factory=dict[str, int])
    unusable: dict[str, UnusableRecord] = field(default_factory=dict[str, UnusableRecord])
    bytes: int = 0
    media_bytes: int = 0


class Asking:
    """Turns a task's records into chunks.

    Args:
        task: Renders the records.
        snapshot: The task as the job keeps it.
        counter: Counts what the model would read.
        counting: Does so in another thread, where there is much to count.
    """

    def __init__(
        self, task: BatchTask, snapshot: TaskSnapshot, counter: TokenCounter, counting: Counting | None = None
    ) -> None:
        self._envelope = Envelope(snapshot)
        self._render = renderer(task)
        self._embeds = snapshot.embeds
        self._cited = snapshot.citations
        self._model = counter.model
        self._counter = counter
        counting = counting or Counting(counter)
        self._constant = cache(lambda: self._begin_constant(counting))
        self._texts: TextAsking | None = None
        if isinstance(task.prompt, str) and not self._embeds:
            counting.load()
            fill = column_filler(task.prompt, task.truncate_at)
            self._texts = TextAsking(fill, self._envelope, counting, self._constant)

    def chunks(self, batch: pa.RecordBatch) -> Generator[Chunk]:
        """One chunk, or several where what is asked of the records is large."""
        if self._texts is None:
            yield from self._by_record(cast("list[Record]", batch.to_pylist()))
            return
        length = max(1, batch.num_rows * CHUNK_BYTES // max(batch.nbytes, CHUNK_BYTES))
        for start in range(0, batch.num_rows, length):
            yield self._texts.chunk(batch.slice(start, length))

    def _begin_constant(self, counting: Counting) -> Counts:
        if self._embeds:
            return lambda: [0]
        counts = counting.begin([self._envelope.constant_text])
        return lambda: [tokens + framing_tokens() for tokens in counts()]

    def _by_record(self, rows: Sequence[Record]) -> Generator[Chunk]:
        gathered = _Gathered()
        for row in rows:
            for part, content in self._render(row):
                self._gather(gathered, row, part, content)
            if gathered.bytes > CHUNK_BYTES or gathered.media_bytes > MEDIA_BYTES:
                yield self._chunk(gathered)
                gathered = _Gathered()
        if gathered.records:
            yield self._chunk(gathered)

    def _gather(self, gathered: _Gathered, row: Record, part: int, content: Content | UnusableRecord) -> None:
        if isinstance(content, UnusableRecord):
            body, fingerprint = b"", _of_unusable(row, part, content)
            gathered.unusable[fingerprint] = content
        else:
            content = for_model(content, self._model)
            body = self._body(content)
            fingerprint = self._envelope.fingerprint(body)
        record_id = str(row["record_id"])
        request_id = custom_id(record_id, part)
        place = cast("str | None", row["repo"]), cast("date | None", row["night"]), str(row[CONTENT_HASH])
        gathered.records.append(Asked(record_id, *place, part, fingerprint, request_id))
        if fingerprint not in gathered.bodies and not isinstance(content, UnusableRecord):
            gathered.bodies[fingerprint] = body
            gathered.custom_ids[fingerprint] = request_id
            gathered.texts[fingerprint] = text_of(content)
            gathered.media_tokens[fingerprint] = media_tokens(content, self._model)
            gathered.bytes += len(body)
            gathered.media_bytes += 0 if isinstance(content, str) else len(body)

    def _body(self, content: Content) -> bytes:
        if isinstance(content, Messages):
            turns = turns_in_form_of(self._envelope.endpoint, content, cited=self._cited)
            return Turns(b",".join(orjson.dumps(turn) for turn in turns))
        body = orjson.dumps(in_form_of(self._envelope.endpoint, content, cited=self._cited))
        return b"[%b]" % body if self._embeds else body

    def _chunk(self, gathered: _Gathered) -> Chunk:
        ids = gathered.custom_ids

        def count(wanted: Sequence[str]) -> list[int]:
            counted = self._counter.count_many([gathered.texts[fingerprint] for fingerprint in wanted])
            (constant,) = self._constant()()
            media = (constant + gathered.media_tokens[fingerprint] for fingerprint in wanted)
            return [tokens + more for tokens, more in zip(counted, media, strict=True)]

        return Chunk(
            records=Records.of(gathered.records),
            bodies=gathered.bodies,
            lines=lambda wanted: Lines.of([self._envelope.line(ids[fp], gathered.bodies[fp]) for fp in wanted]),
            around=self._envelope.around,
            custom_ids=ids,
            input_tokens=lambda wanted: partial(count, wanted),
            unusable=gathered.unusable,
            pack=(lambda inputs: self._pack(gathered, inputs)) if self._embeds else None,
        )

    def _pack(self, gathered: _Gathered, inputs: Sequence[Input]) -> list[Request]:
        requests: list[Request] = []
        for group in packs(inputs):
            bodies = b",".join(gathered.bodies[each.fingerprint][1:-1] for each in group)
            requests.append(Request(self._envelope.line(group[0].custom_id, b"[%b]" % bodies), tuple(group)))
        return requests


def packs(inputs: Sequence[Input]) -> Generator[list[Input]]:
    """Inputs in groups that fit into one request; a long one is a group of its own."""
    group: list[Input] = []
    tokens = 0
    for each in inputs:
        if each.input_tokens > LONG_INPUT:
            yield [each]
            continue
        if len(group) == PACK_INPUTS or (group and tokens + each.input_tokens > PACK_TOKENS):
            yield group
            group, tokens = [], 0
        group.append(each)
        tokens += each.input_tokens
    if group:
        yield group


def _of_unusable(row: Record, part: int, why: UnusableRecord) -> str:
    """Nothing is sent for it; this tells it from others, and from itself once it has changed."""
    return hashlib.sha256(f"{why.code}\n{row['record_id']}\n{part}\n{row[CONTENT_HASH]}".encode()).hexdigest()
