"""Judges the rows of a batch's files, in chunks: what is in memory does not grow with the batch."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_pipeline.batches.outcomes.download import Garbled
from batch_pipeline.batches.outcomes.embeddings import EmbeddingJudge
from batch_pipeline.batches.outcomes.judging import Result, judge, validator
from batch_pipeline.batches.outcomes.plain_rows import Row, plain_row, row_of
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import TOKEN_LIMIT
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.warehouse import answers, results
from batch_pipeline.warehouse.plan_index import inputs_of_batch
from batch_pipeline.warehouse.results import Written
from batch_pipeline.wire.lines import OutputLine, parse_output_line
from batch_pipeline.wire.messages import MESSAGES, parse_result_line

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

CHUNK = 10_000
"""Rows that are in memory at a time."""
FLOAT_BYTES = 4
CHAT = "/v1/chat/completions"


Judge = Callable[[OutputLine], Iterable[tuple[str, Result]]]
"""What became of each input of a line: custom_id and result."""


def judge_of(connection: DuckDBPyConnection, snapshot: TaskSnapshot, written: Written) -> Judge:
    """How the lines of this batch are judged."""
    if snapshot.embeds:
        dimensions = snapshot.dimensions or answers.dimensions(connection, snapshot.name, snapshot.model)
        return EmbeddingJudge(inputs_of_batch(connection, written.requests, written.number), dimensions)
    endpoint, validate = snapshot.endpoint, validator(snapshot.answer_schema)
    return lambda line: ((line.custom_id, judge(line, endpoint, validate, cited=snapshot.citations)),)


class Rows:
    """Judges the rows of a batch's files, in chunks."""

    def __init__(self, pipeline: Pipeline, snapshot: TaskSnapshot, garbled: Garbled, judge: Judge) -> None:
        self._judge = judge
        self._parse = parse_result_line if snapshot.endpoint == MESSAGES else parse_output_line
        self._plain = validator(snapshot.answer_schema) if snapshot.endpoint == CHAT else None
        self._price = pipeline.prices.price(snapshot.provider, snapshot.model, snapshot.mode)
        self._garbled = garbled
        self._place = 0

    def of_files(self, paths: list[Path]) -> Generator[pa.Table]:
        """The rows of output and error files."""
        for lines in _chunks(paths):
            rows: list[Row] = []
            for raw in lines:
                plain = self._plain and plain_row(raw, self._plain)
                if plain is not None:
                    rows.append(plain)
                else:
                    rows += self._rows_of(raw)
            yield self._table(rows)

    def _rows_of(self, raw: bytes) -> list[Row]:
        line = self._parse(raw)
        if line is None:
            self._garbled.count += bool(raw.strip())
            return []
        return [row_of(*judged) for judged in self._judge(line)]

    def of_errors(self, connection: DuckDBPyConnection, written: Written, batch: Batch) -> Generator[pa.Table]:
        """A batch that failed validation has no files: the lines that it names failed; none named, all did."""
        if too_many_tokens(batch):
            return
        named = {line: error for error in batch.errors if isinstance(line := error.get("line"), int)}
        lines = list(named) or list(range(1, batch.requests + 1))
        rows = [
            row_of(custom_id, _failed(named.get(line) or (batch.errors[0] if batch.errors else {})))
            for line, custom_id in results.inputs_at_lines(connection, written, lines)
        ]
        yield self._table(rows)

    def _table(self, rows: list[Row]) -> pa.Table:
        found = list(zip(*rows, strict=True)) or [()] * len(Row._fields)
        columns: dict[str, Any] = dict(zip(Row._fields, found, strict=True))
        vectors = _vectors(columns.pop("vector"))
        start, self._place = self._place, self._place + len(rows)
        tokens = (columns[f"{kind}_tokens"] for kind in ("input", "cached", "output", "cache_write"))
        costs = self._price.costs(*tokens)
        return _table(columns | {"place": range(start, self._place), "cost_usd": costs} | vectors)


def too_many_tokens(batch: Batch) -> bool:
    """The batch was larger than the provider's queue, and its requests go again in smaller ones; a single one can't."""
    return batch.requests > 1 and any(error.get("code") == TOKEN_LIMIT for error in batch.errors)


def _failed(error: dict[str, object]) -> Result:
    return Result("failed", None, str(error.get("code") or "batch_failed"), str(error.get("message") or "batch failed"))


def _vectors(vectors: Sequence[bytes | None]) -> dict[str, Any]:
    """The column of embeddings, where there are any: their bytes as they are, never one number at a time."""
    if not any(vectors):
        return {}
    import pyarrow as pa

    numbers = b"".join(vector for vector in vectors if vector)
    ends = accumulate((len(vector or b"") // FLOAT_BYTES for vector in vectors), initial=0)
    offsets = [end if vector else None for end, vector in zip(ends, [*vectors, b"the end"], strict=True)]
    values: Any = pa.Array.from_buffers(pa.float32(), len(numbers) // FLOAT_BYTES, [None, pa.py_buffer(numbers)])
    lists: Any = pa.ListArray
    return {"vector": lists.from_arrays(pa.array(offsets, pa.int32()), values)}


def _table(columns: dict[str, Any]) -> pa.Table:
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {"place": pa.int64(), "http_status": pa.int32(), "cost_usd": pa.float64()}
    kinds["vector"] = pa.list_(pa.float32())
    kinds |= {name: pa.int64() for name in columns if name.endswith("_tokens")}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
    return pa.table(columns, schema=schema)


def _chunks(paths: list[Path]) -> Iterator[list[bytes]]:
    for path in paths:
        with path.open("rb") as file:
            while lines := file.readlines(CHUNK * 512):
                yield lines
