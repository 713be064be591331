"""What a plan has to decide about: requests, and the records that each would answer, in chunks.

They come from a selection of a task's records, or from the requests of an earlier attempt.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, cast

import orjson

from batch_pipeline.batches.custom_id import custom_id
from batch_pipeline.batches.envelope import Envelope, content_renderer, content_texts
from batch_pipeline.batches.tokens import TokenCounter, framing_tokens
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.tasks.task import BatchTask, Content, Record

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


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records, and by fingerprint the line that would be sent for them; identical requests are one already."""

    records: Sequence[Asked]
    lines: dict[str, bytes]
    custom_ids: dict[str, str]
    texts: dict[str, str]
    """What varies of each request, for counting tokens."""
    constant_tokens: int = 0
    """Tokens of each request beside its text."""


def selected(
    connection: DuckDBPyConnection, task: BatchTask, snapshot: TaskSnapshot, prepared: Prepared, counter: TokenCounter
) -> Generator[Chunk]:
    """The candidates of a selection, while it streams out of the warehouse."""
    envelope = Envelope(snapshot)
    render = content_renderer(task.prompt, task.truncate_at)
    constant = counter.count(envelope.constant_text) + framing_tokens()
    for rows in prepared.stream(connection):
        yield _chunk(rows, [render(row) for row in rows], envelope, constant)


def _chunk(rows: Sequence[Record], contents: Sequence[Content], envelope: Envelope, constant: int) -> Chunk:
    bodies = [orjson.dumps(content) for content in contents]
    records = [
        _asked(row, envelope.fingerprint(body), custom_id(str(row["record_id"])))
        for row, body in zip(rows, bodies, strict=True)
    ]
    lines: dict[str, bytes] = {}
    custom_ids: dict[str, str] = {}
    texts: dict[str, str] = {}
    for record, body, text in zip(records, bodies, content_texts(contents), strict=True):
        if record.fingerprint not in lines:
            lines[record.fingerprint] = envelope.line(record.custom_id, body)
            custom_ids[record.fingerprint] = record.custom_id
            texts[record.fingerprint] = text
    return Chunk(records, lines, custom_ids, texts, constant)


def _asked(row: Record, fingerprint: str, request_id: str) -> Asked:
    return Asked(
        str(row["record_id"]),
        cast("str | None", row["repo"]),
        cast("date | None", row["night"]),
        str(row["content_hash"]),
        fingerprint,
        request_id,
    )


def count_tokens(chunk: Chunk, fingerprints: Iterable[str], counter: TokenCounter) -> list[int]:
    """Input tokens of these requests of the chunk, in their order."""
    counted = counter.count_many([chunk.texts[fingerprint] for fingerprint in fingerprints])
    return [chunk.constant_tokens + count for count in counted]
