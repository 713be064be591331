"""The rows of a running batch: two growing files, output and errors, from which a restart sees what was done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import orjson

from batch_pipeline.local_server.embeddings import EMBEDDINGS
from batch_pipeline.local_server.engines.base import Answer, Request
from batch_pipeline.local_server.ids import row_ids
from batch_pipeline.local_server.store import owner_only
from batch_pipeline.wire.batch import BatchUsage, CachedTokens, ReasoningTokens, versioned
from batch_pipeline.wire.lines import parse_output_line
from batch_pipeline.wire.replies import read_reply

_ROW = b'{"id":"batch_req_%b","custom_id":%b,"response":{"status_code":%d,"request_id":"%b","body":%b},"error":null}\n'
_UNEXECUTED = b'{"id":"batch_req_%b","custom_id":%b,"response":null,"error":{"code":"%b","message":"%b"}}\n'

WHY_NOT = {
    "batch_cancelled": b"This request was not executed because the batch was cancelled.",
    "batch_expired": b"This request could not be executed before the completion window expired.",
}
"""What is said of a line that was not executed (docs/wire-facts.md, 1.3)."""

_COMPARED_AT_ONCE = 1 << 20

AT_ONCE = 4 << 20
"""Bytes of input lines from which on no more of them are read at once: images and documents are in them."""


@dataclass(slots=True)
class Progress:
    """What was executed so far, and what is billed for it: tokens of successful rows alone."""

    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    inputs: int = 0
    """Inputs that were embedded."""

    @property
    def executed(self) -> int:
        """Lines that were executed."""
        return self.completed + self.failed

    def add(self, answer: Answer) -> None:
        """Counts one answer."""
        if answer.status >= 300:
            self.failed += 1
            return
        usage = answer.usage
        self.completed += 1
        self.inputs += answer.inputs
        self.input_tokens += usage.input_tokens
        self.cached_tokens += usage.cached_tokens
        self.output_tokens += usage.output_tokens
        self.reasoning_tokens += usage.reasoning_tokens

    def usage(self) -> BatchUsage:
        """The tokens as a batch shows them."""
        return BatchUsage(
            input_tokens=self.input_tokens,
            input_tokens_details=CachedTokens(cached_tokens=self.cached_tokens),
            output_tokens=self.output_tokens,
            output_tokens_details=ReasoningTokens(reasoning_tokens=self.reasoning_tokens),
            total_tokens=self.input_tokens + self.output_tokens,
        )


class RowFiles:
    """Output and error rows of one batch. Opening counts what is there already, and cuts off a half-written row."""

    def __init__(self, output: Path, errors: Path, endpoint: str) -> None:
        self.progress = Progress()
        self._endpoint = versioned(endpoint)
        self._paths = (output, errors)
        self.there = {custom_id for path in self._paths for custom_id in self._recover(path)}
        """Ids of the rows that were there when the files were opened."""
        self._output, self._errors = (os.open(path, os.O_WRONLY | os.O_APPEND) for path in self._paths)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._output)
        os.close(self._errors)

    def write(self, answers: Sequence[Answer]) -> None:
        """Adds a row for each answer, and counts it."""
        good: list[bytes] = []
        bad: list[bytes] = []
        for answer, key in zip(answers, row_ids(len(answers)), strict=True):
            self.progress.add(answer)
            name = key.encode()
            row = _ROW % (name, orjson.dumps(answer.custom_id), answer.status, name, answer.body)
            (bad if answer.status >= 300 else good).append(row)
        _append(self._output, good)
        _append(self._errors, bad)

    def write_unexecuted(self, custom_ids: Sequence[str], code: str) -> None:
        """Adds a row for each line that will not be executed, saying why."""
        words = (code.encode(), WHY_NOT[code])
        _append(
            self._errors,
            [
                _UNEXECUTED % (key.encode(), orjson.dumps(custom_id), *words)
                for custom_id, key in zip(custom_ids, row_ids(len(custom_ids)), strict=True)
            ],
        )

    def _recover(self, path: Path) -> Iterator[str]:
        with open(path, "a+b", opener=owner_only) as file:
            file.truncate(_end_of_last_row(file.fileno()))
        with path.open("rb") as file:
            for raw in file:
                if row := parse_output_line(raw):
                    if row.status_code is not None:
                        reply = read_reply(self._endpoint, row.body)
                        given = row.body.get("data") if self._endpoint == EMBEDDINGS else None
                        inputs = len(cast("list[object]", given)) if isinstance(given, list) else 0
                        self.progress.add(Answer(row.custom_id, row.status_code, b"", reply.usage, inputs))
                    yield row.custom_id


class InputLines:
    """Reads an input file again, in chunks, leaving out lines whose ids are given."""

    def __init__(self, path: Path, without: set[str]) -> None:
        self._file = path.open("rb")
        self._without = without
        self._line = 0

    def close(self) -> None:
        """Gives the file back."""
        self._file.close()

    def next(self, count: int) -> list[Request]:
        """The next requests: at most `count`, fewer if they are large; none at the end."""
        requests: list[Request] = []
        without, size = self._without, 0
        for raw in self._file:
            self._line += 1
            size += len(raw)
            line = orjson.loads(raw)
            if not without or line["custom_id"] not in without:
                requests.append(Request(line["custom_id"], versioned(line["url"]), line["body"], self._line))
                if len(requests) == count or size > AT_ONCE:
                    break
        return requests


def _append(file: int, rows: Iterable[bytes]) -> None:
    data = memoryview(b"".join(rows))
    while data:
        data = data[os.write(file, data) :]


def _end_of_last_row(file: int) -> int:
    at = os.fstat(file).st_size
    while at:
        start = max(0, at - _COMPARED_AT_ONCE)
        found = os.pread(file, at - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0
