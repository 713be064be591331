"""What a batch is stored as, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Counts = dict[str, int]
AnswerKind = Literal["text", "object", "embedding"]
"""What an answer's text is: text, a JSON object of the answer's fields, or none, since it is a vector."""


@dataclass(frozen=True)
class Written:
    """What a batch is, to be stored: which job's, how its task is kept, and where its plan lies."""

    job_id: str
    root_job_id: str
    batch_id: str
    number: int
    attempt: int
    task: str
    provider: str
    model: str
    prompt_version: str
    variant: str | None
    answer_columns: Mapping[str, str]
    answer_kind: AnswerKind
    part_columns: Mapping[str, str] | None
    """Of an answer in parts, the columns of one part."""
    requests: Path
    records: Path
    answered_at: float


@dataclass(frozen=True)
class Absent:
    """What becomes of requests that are in no row."""

    outcome: str
    code: str
    message: str


@dataclass(frozen=True)
class Stored:
    """What was stored: requests and records by outcome, and rows that belong to nobody."""

    requests: Counts
    records: Counts
    answered: Sequence[str]
    """Fingerprints that have an answer."""
    ends: Mapping[str, tuple[str, str | None]]
    """How each other fingerprint ended, and why."""
    cost_usd: float
    foreign: int = 0
    doubled: int = 0


def run(connection: DuckDBPyConnection, sql: str, batch: Written, **more: object) -> DuckDBPyConnection:
    """Executes SQL with those of the batch's values, and of `more`, that it names as `$value`."""
    values: dict[str, object] = {**vars(batch), "requests": str(batch.requests), "records": str(batch.records), **more}
    return connection.execute(sql, {name: value for name, value in values.items() if f"${name}" in sql})
