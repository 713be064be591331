"""What a plan has to decide about: requests, and the records that each would answer, in chunks.

They come from a selection of a task's records, or from the requests of an earlier attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, cast

import orjson

from batch_pipeline.batches.content import in_form_of, text_of
from batch_pipeline.batches.custom_id import custom_id
from batch_pipeline.batches.envelope import Envelope, content_renderer, doubled_limit
from batch_pipeline.batches.files import JobFolder
from batch_pipeline.batches.select import CHUNK
from batch_pipeline.batches.tokens import TokenCounter, framing_tokens
from batch_pipeline.tasks.content import Content
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.tasks.task import BatchTask, Record

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from batch_pipeline.batches.select import Prepared


@dataclass(frozen=True, slots=True)
class Asked:
    """A record, and the fingerprint of what is asked of it."""

    record_id: str
    repo: str | None
    night: date | None
    content_hash: str
    fingerprint: str
    custom_id: str
    before: str | None = None
    """The outcome that it had in the attempt before, if any."""


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
    """Records, and by fingerprint the line that would be sent for them; identical requests are one already."""

    records: Sequence[Asked]
    lines: dict[str, bytes]
    custom_ids: dict[str, str]
    input_tokens: Callable[[Sequence[str]], list[int]]
    """Counts the tokens of these fingerprints' requests; only those that will be sent are counted."""


def selected(
    connection: DuckDBPyConnection, task: BatchTask, snapshot: TaskSnapshot, prepared: Prepared, counter: TokenCounter
) -> Generator[Chunk]:
    """The candidates of a selection, while it streams out of the warehouse."""
    envelope = Envelope(snapshot)
    render = content_renderer(task.prompt, task.truncate_at)
    constant = counter.count(envelope.constant_text) + framing_tokens()

    def count(texts: Sequence[str]) -> list[int]:
        return [constant + tokens for tokens in counter.count_many(texts)]

    for rows in prepared.stream(connection):
        yield _chunk(rows, [render(row) for row in rows], envelope, count)


def _chunk(
    rows: Sequence[Record], contents: Sequence[Content], envelope: Envelope, count: Callable[[Sequence[str]], list[int]]
) -> Chunk:
    bodies = [orjson.dumps(in_form_of(envelope.endpoint, content)) for content in contents]
    records = [
        _asked(row, envelope.fingerprint(body), custom_id(str(row["record_id"])))
        for row, body in zip(rows, bodies, strict=True)
    ]
    lines: dict[str, bytes] = {}
    custom_ids: dict[str, str] = {}
    texts: dict[str, str] = {}
    for record, body, content in zip(records, bodies, contents, strict=True):
        if record.fingerprint not in lines:
            lines[record.fingerprint] = envelope.line(record.custom_id, body)
            custom_ids[record.fingerprint] = record.custom_id
            texts[record.fingerprint] = text_of(content)
    return Chunk(records, lines, custom_ids, lambda wanted: count([texts[fingerprint] for fingerprint in wanted]))


def _asked(row: Record, fingerprint: str, request_id: str) -> Asked:
    return Asked(
        str(row["record_id"]),
        cast("str | None", row["repo"]),
        cast("date | None", row["night"]),
        str(row["content_hash"]),
        fingerprint,
        request_id,
    )


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
    for lines in _in_chunks(_lines(folder)):
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
    def tokens(wanted: Sequence[str]) -> list[int]:
        return [going[fp].input_tokens or counter.count(bodies[fp].decode()) for fp in wanted]

    asked = [record for request in going.values() for record in request.records]
    return Chunk(asked, bodies, {fp: request.custom_id for fp, request in going.items()}, tokens)


def _lines(folder: JobFolder) -> Iterator[bytes]:
    for path in [*sorted(folder.path.glob("requests-*.jsonl")), folder.waiting]:
        if path.exists():
            with path.open("rb") as file:
                yield from file


def _in_chunks(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while chunk := list(islice(lines, CHUNK)):
        yield chunk


def _custom_id_of(line: bytes) -> str:
    return line[_START : line.index(b'"', _START)].decode()


_START = len(b'{"custom_id":"')
