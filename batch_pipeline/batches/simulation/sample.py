"""The rows of a job, as a look at the warehouse shows them: all of them counted, some of them rendered and counted.

Nothing is planned, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.requests.asking import Asking
from batch_pipeline.batches.requests.prepared import CHUNK, bound
from batch_pipeline.batches.requests.request_files import Requests
from batch_pipeline.batches.requests.select import connection_for, prepare
from batch_pipeline.batches.simulation.work import Work

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.plan import Order
    from batch_pipeline.batches.requests.prepared import Prepared
    from batch_pipeline.tasks.snapshot import TaskSnapshot

SAMPLED = 1_000
"""Rows that are rendered: their mean is known to a few hundredths, as lengths of texts differ."""


@dataclass(frozen=True)
class Sample:
    """What was looked at: `rows` of `selected`, and what is asked of these."""

    selected: int
    rows: int
    input_tokens: tuple[int, ...]
    """Of each request."""
    inputs: int
    bytes: int

    def work(self, rows: int, rows_per_job: int) -> Work:
        """So many rows of the same kind."""

        def of_all(count: int) -> int:
            return round(count * rows / self.rows) if self.rows else 0

        tokens = of_all(sum(self.input_tokens))
        return Work(rows, of_all(len(self.input_tokens)), of_all(self.inputs), tokens, of_all(self.bytes), rows_per_job)


def sample(pipeline: Pipeline, order: Order, snapshot: TaskSnapshot, counter: TokenCounter) -> Sample:
    """Counts what an order would select now, and looks at some of it, drawn by chance and always the same.

    Raises:
        InvalidTask: As `plan`.
        InvalidSelection: As `plan`.
    """
    with connection_for(pipeline.warehouse, order.selection) as connection:
        prepared = prepare(connection, order.task, order.wanted)
        selected = _count(connection, prepared)
        asking = Asking(order.task, snapshot, counter)
        seen: set[str] = set()
        requests: list[Requests] = []
        for chunk in (chunk for batch in _some(connection, prepared) for chunk in asking.chunks(batch)):
            seen.update(chunk.records.record_id)
            wanted = list(chunk.bodies)
            requests.append(chunk.requests(wanted, chunk.input_tokens(wanted)()))
    return Sample(
        selected,
        len(seen),
        tuple(tokens for each in requests for tokens in each.tokens),
        sum(len(each.fingerprints) for each in requests),
        sum(size for each in requests for size in each.lines.sizes),
    )


def _count(connection: DuckDBPyConnection, prepared: Prepared) -> int:
    sql = f"SELECT count(*) FROM ({prepared.wanted})"  # noqa: S608 - our own text
    return cast("tuple[int]", connection.execute(sql, bound(prepared.parameters, sql)).fetchone())[0]


def _some(connection: DuckDBPyConnection, prepared: Prepared) -> Iterator[pa.RecordBatch]:
    sql = f"FROM ({prepared.wanted}) USING SAMPLE reservoir({SAMPLED} ROWS) REPEATABLE (1)"
    yield from connection.execute(sql, bound(prepared.parameters, sql)).to_arrow_reader(CHUNK)
