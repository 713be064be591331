"""What this project itself takes for a job: time on a host, and bytes on the disk. Measured, not computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_pipeline.batches.simulation.work import Work

_MILLION = 1_000_000


@dataclass(frozen=True)
class Pace:
    """Seconds by the clock for a million rows, by one process: docs/performance.md, on two cores.

    `hosts` is how many processes plan, and how many collect, at once. On one DuckDB file it is one: it has one writer.
    """

    build_seconds: float = 21.0
    collect_seconds: float = 16.0
    hosts: int = 1
    lookup_seconds: float = 2.2
    """More, to plan a million rows beside a million stored ones: each fingerprint is looked up among all that was sent
    (`python -m bench.lookups`). What is asked with `--force` is not looked up."""

    def ready(self, jobs: Sequence[int]) -> list[float]:
        """When each job of so many rows is planned, in seconds from the start.

        Each host plans one after the other, and all jobs before are taken to be stored already.
        """
        ends = [0.0] * self.hosts
        ready: list[float] = []
        stored = 0.0
        for number, rows in enumerate(jobs):
            millions = rows / _MILLION
            ends[number % self.hosts] += millions * (self.build_seconds + self.lookup_seconds * stored)
            stored += millions
            ready.append(max(ends[number % self.hosts], ready[-1] if ready else 0.0))
        return ready

    def collecting(self, rows: int) -> float:
        """What one host takes to collect so many rows, in seconds."""
        return rows * self.collect_seconds / _MILLION


@dataclass(frozen=True)
class Disk:
    """Bytes: `python -m bench.sizes --rows 50000`, of rows of 700 characters and 198 input tokens."""

    requests: int
    """Request files, which stay until `prune`."""
    answers: int
    """The provider's own words, which stay as long."""
    indexes: int
    """What says which record and which request belong together, beside the files."""
    ledger: int
    """The ledger when most is planned and not yet collected; SQLite's file does not shrink again."""
    warehouse: int
    """Records, results and answers, as DuckDB compresses them."""

    @property
    def whole(self) -> int:
        """All of it."""
        return self.requests + self.answers + self.indexes + self.ledger + self.warehouse


BYTES_PER_TOKEN = 6.9
"""Of a request line, where no sample of the task says it: 1,358 bytes for 198 tokens."""
_ANSWER_FRAME, _ANSWER_TOKEN = 700, 4.0
_INDEXES, _LEDGER, _STORED_ANSWER, _STORED_TOKEN = 92, 235, 157, 1.8
_NUMBER_TEXT, _NUMBER_STORED = 16 / 3, 4
"""Bytes of a number of an embedding: in base64, as it comes, and as a FLOAT."""


def disk_of(work: Work, output_tokens: float, most_open: int, dimensions: int = 0) -> Disk:
    """What a job takes on the disk.

    Args:
        work: The whole of it.
        output_tokens: Of all answers.
        most_open: Rows that are planned and not yet collected, when these are most.
        dimensions: Of an embedding; 0 of other answers.
    """
    numbers = dimensions * work.inputs
    return Disk(
        requests=work.bytes,
        answers=round(_ANSWER_FRAME * work.requests + _ANSWER_TOKEN * output_tokens) + round(_NUMBER_TEXT * numbers),
        indexes=_INDEXES * work.rows,
        ledger=_LEDGER * most_open,
        warehouse=round(_STORED_ANSWER * work.rows + _STORED_TOKEN * work.input_tokens) + _NUMBER_STORED * numbers,
    )
