"""The file that answers are appended to as they come, until there is one for every request."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import orjson

from batch_pipeline.wire.lines import OutputLine, parse_output_line
from batch_pipeline.wire.messages import MESSAGES, parse_result_line


class Partial:
    """The lines of a batch's output that are there so far: which requests have one, and how many were successes.

    Args:
        endpoint: Of the requests; it says which form the lines have.
    """

    def __init__(self, endpoint: str) -> None:
        self.completed = 0
        self.failed = 0
        self._parse = parse_result_line if endpoint == MESSAGES else parse_output_line
        self._file: FileIO | None = None
        self._answered: set[str] = set()

    @classmethod
    @contextmanager
    def open(cls, path: Path, endpoint: str) -> Generator[Partial]:
        """The file, to be gone on with; a last line that was torn when its process died is no line."""
        path.touch(mode=0o600)
        partial = cls(endpoint)
        os.truncate(path, partial._take(path))
        with path.open("ab", buffering=0) as partial._file:
            yield partial

    @classmethod
    def read(cls, path: Path, endpoint: str) -> Partial:
        """A file to which nothing is added any more."""
        partial = cls(endpoint)
        partial._take(path)
        return partial

    def add(self, line: bytes) -> None:
        """Appends a line, in one write."""
        if self._file is not None:
            self._file.write(line + b"\n")
        self._count(line)

    def left_of(self, requests: Path) -> Generator[bytes]:
        """The lines of a plan's file that have no line here yet."""
        with requests.open("rb") as file:
            for line in file:
                if orjson.loads(line)["custom_id"] not in self._answered:
                    yield line

    def _take(self, path: Path) -> int:
        """Counts the file's lines; how many bytes they have without a torn one."""
        size = 0
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    self._count(line)
                    size += len(line)
        return size

    def _count(self, line: bytes) -> None:
        found: OutputLine | None = self._parse(line)
        if found is None:
            return
        self._answered.add(found.custom_id)
        if found.status_code is not None and found.status_code < 300:
            self.completed += 1
        else:
            self.failed += 1
