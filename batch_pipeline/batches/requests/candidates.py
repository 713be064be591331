"""What a plan has to decide about: requests, and the records that each would answer, in chunks.

They come from a selection of a task's records, or from the requests of an earlier attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple, cast

import orjson

from batch_pipeline.batches.files import JobFolder
from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.requests.columns import Column, at_keys, transposed
from batch_pipeline.batches.requests.counting import Counts
from batch_pipeline.batches.requests.envelope import doubled_limit
from batch_pipeline.batches.requests.lines import Lines
from batch_pipeline.batches.requests.prepared import CHUNK
from batch_pipeline.batches.requests.request_files import Input, Request, Requests
from batch_pipeline.tasks.content import UnusableRecord
from batch_pipeline.tasks.snapshot import EMBEDDINGS
from batch_pipeline.warehouse import plan_index

CHUNK_BYTES = 64 * 1024 * 1024
"""What is asked is in memory this much at a time, where fewer records ask for more: images, documents."""


class Asked(NamedTuple):
    """A record (or one part of it), and the fingerprint of what is asked of it."""

    record_id: str
    repo: str | None
    night: date | None
    content_hash: str
    part: int
    fingerprint: str
    custom_id: str
    before: str | None = None
    """The outcome that it had in the attempt before, if any."""


@dataclass(frozen=True, slots=True)
class Records:
    """Many of them, column by column."""

    record_id: Sequence[str]
    repo: Column
    night: Column
    content_hash: Column
    part: Sequence[int]
    fingerprint: Sequence[str]
    custom_id: Sequence[str]
    before: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.record_id)

    @classmethod
    def of(cls, rows: Sequence[Asked]) -> Records:
        """The columns of these rows."""
        return cls(*cast("list[Any]", transposed(rows, Asked._fields)))


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request of an attempt that goes again, and the records that it would answer."""

    custom_id: str
    fingerprint: str
    input_tokens: int
    truncated: bool
    records: Sequence[Asked]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records, and by fingerprint what would be asked for them; identical requests are one already."""

    records: Records
    bodies: Mapping[str, bytes]
    """JSON of what is asked, or the whole line where `around` is 0."""
    lines: Callable[[Sequence[str]], Lines]
    """The lines that would be sent for these fingerprints."""
    custom_ids: Mapping[str, str]
    input_tokens: Callable[[Sequence[str]], Counts]
    """Begins to count the tokens of these fingerprints' requests."""
    unusable: Mapping[str, UnusableRecord] = field(default_factory=dict[str, UnusableRecord])
    """By fingerprint, why a record can't be asked about; it has no line."""
    around: int = 0
    """Bytes of a line beside what is asked, at most."""
    pack: Callable[[Sequence[Input]], list[Request]] | None = None
    """Puts many inputs into one request; each has its own where there is none."""

    def requests(self, fingerprints: Sequence[str], input_tokens: Sequence[int]) -> Requests:
        """The requests that ask for these inputs, of which the tokens are counted."""
        names = at_keys(self.custom_ids, fingerprints)
        if self.pack is not None:
            return Requests.of(
                self.pack([Input(*each) for each in zip(names, fingerprints, input_tokens, strict=True)])
            )
        return Requests(self.lines(fingerprints), names, fingerprints, input_tokens)

    def longer_than(self, most: int, fingerprints: Sequence[str]) -> list[str]:
        """Those of the fingerprints of which the line has more bytes."""
        near = [fp for fp in fingerprints if len(self.bodies[fp]) + self.around > most]
        return [fp for fp, size in zip(near, self.lines(near).sizes, strict=True) if size > most]


def again(
    folder: JobFolder, open_requests: Mapping[str, OpenRequest], endpoint: str, counter: TokenCounter
) -> Generator[Chunk]:
    """The candidates of an attempt: the lines of the one before, of the requests that go again.

    Args:
        folder: Of the attempt before.
        open_requests: What goes again, by custom_id.
        endpoint: The provider's path.
        counter: Counts what was not counted before, since it was waited for.
    """
    seen: set[str] = set()
    for lines in _in_chunks(_inputs(folder) if endpoint == EMBEDDINGS else folder.lines()):
        going: dict[str, OpenRequest] = {}
        bodies: dict[str, bytes] = {}
        for line in lines:
            request = open_requests.get(_custom_id_of(line))
            if request is not None and request.fingerprint not in seen:
                seen.add(request.fingerprint)
                going[request.fingerprint] = request
                bodies[request.fingerprint] = doubled_limit(line, endpoint) if request.truncated else line
        yield _again(going, bodies, counter)


def _again(going: Mapping[str, OpenRequest], bodies: dict[str, bytes], counter: TokenCounter) -> Chunk:
    def tokens(wanted: Sequence[str]) -> Counts:
        return lambda: [going[fp].input_tokens or counter.count(bodies[fp].decode()) for fp in wanted]

    asked = [record for request in going.values() for record in request.records]

    def lines(wanted: Sequence[str]) -> Lines:
        return Lines.of([bodies[fp] for fp in wanted])

    return Chunk(Records.of(asked), bodies, lines, {fp: request.custom_id for fp, request in going.items()}, tokens)


def _inputs(folder: JobFolder) -> Iterator[bytes]:
    """A line for each input of lines that hold many: what failed among others goes again alone."""
    ids = plan_index.inputs_of_lines(folder.request_index) if folder.fetch(folder.request_index) else iter(())
    for line in folder.lines():
        request = cast("dict[str, dict[str, object]]", orjson.loads(line))
        inputs = cast("list[str]", request["body"]["input"])
        names = next(ids, None) or [_custom_id_of(line)]  # what is waited for is in no file, and stands alone
        for name, text in zip(names, inputs, strict=True):
            yield orjson.dumps({**request, "custom_id": name, "body": {**request["body"], "input": [text]}}) + b"\n"


def _in_chunks(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += len(line)
        if len(chunk) == CHUNK or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _custom_id_of(line: bytes) -> str:
    return line[_START : line.index(b'"', _START)].decode()


_START = len(b'{"custom_id":"')
