"""What is to be done, as numbers: rows, requests, tokens and bytes, split into jobs and these into batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from batch_pipeline.batches.requests.request_files import Limits

ROWS_PER_JOB = 1_000_000
"""What one job plans at once: `docs/performance.md` measured that size, which takes 1 GB of memory."""


class Batch(NamedTuple):
    """A batch as it is simulated."""

    job: int
    rows: int
    requests: int
    tokens: int


@dataclass(frozen=True)
class Work:
    """All of it. `inputs` is what a provider's limit of requests counts: an embedding's request has many."""

    rows: int
    requests: int
    inputs: int
    input_tokens: int
    bytes: int
    """Of the request lines."""
    rows_per_job: int = ROWS_PER_JOB

    @classmethod
    def of_rows(cls, rows: int, tokens_per_row: float, bytes_per_row: float) -> Work:
        """A request a row."""
        return cls(rows, rows, rows, round(rows * tokens_per_row), round(rows * bytes_per_row))

    @property
    def jobs(self) -> list[int]:
        """The rows of each job."""
        whole, rest = divmod(self.rows, self.rows_per_job)
        return [self.rows_per_job] * whole + ([rest] if rest else [])

    def rows_per_batch(self, limits: Limits) -> int:
        """How many rows the fullest batch holds, at these means; at least one."""
        caps = [(limits.max_requests, self.inputs), (limits.max_bytes, self.bytes)]
        if limits.max_tokens is not None:
            caps.append((limits.max_tokens, self.input_tokens))
        return max(1, min(most * self.rows // of_all if of_all else self.rows for most, of_all in caps))

    def count_batches(self, limits: Limits) -> int:
        """How many batches there will be."""
        whole, rest = divmod(self.rows, self.rows_per_job)
        fullest = self.rows_per_batch(limits)
        return whole * -(-self.rows_per_job // fullest) + -(-rest // fullest)

    def batches(self, limits: Limits, most: int | None = None) -> list[Batch]:
        """The batches, or the first of them; requests and tokens of all add up to those of the work."""
        return list(islice(self._batches(self.rows_per_batch(limits)), most))

    def _batches(self, fullest: int) -> Iterator[Batch]:
        for first in range(0, self.rows, self.rows_per_job):
            last = min(first + self.rows_per_job, self.rows)
            for start in range(first, last, fullest):
                end = min(start + fullest, last)
                requests, tokens = (self._share(of, start, end) for of in (self.requests, self.input_tokens))
                yield Batch(start // self.rows_per_job, end - start, requests, tokens)

    def _share(self, of_all: int, start: int, end: int) -> int:
        return of_all * end // self.rows - of_all * start // self.rows
