"""Judges the rows of a batch's files, in chunks: what is in memory does not grow with the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from batch_pipeline.batches.outcomes.download import Garbled
from batch_pipeline.batches.outcomes.embeddings import EmbeddingJudge
from batch_pipeline.batches.outcomes.judging import Outcome, Result, judge, validator
from batch_pipeline.batches.outcomes.plain_rows import can_be_read, put_plain_rows, take_others
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import TOKEN_LIMIT
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.warehouse import answers, results
from batch_pipeline.warehouse.collected_rows import add_rows, make_collected_rows
from batch_pipeline.warehouse.plan_index import inputs_of_batch
from batch_pipeline.warehouse.written import Written
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


class Row(NamedTuple):
    """A judged row as it is stored, column by column; `place` is that of its line in the files."""

    place: int
    custom_id: str
    outcome: Outcome
    http_status: int | None
    error_code: str | None
    error_message: str | None
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    response_text: str | None
    vector: bytes | None = None


class Rows:
    """Puts the rows of a batch into `_collected_rows`, judged.

    Args:
        connection: Of `Warehouse.write()`.
        pipeline: The pipeline.
        snapshot: The job's task.
        written: What the batch is.
    """

    def __init__(
        self, connection: DuckDBPyConnection, pipeline: Pipeline, snapshot: TaskSnapshot, written: Written
    ) -> None:
        self._connection = connection
        self._judge = judge_of(connection, snapshot, written)
        self._parse = parse_result_line if snapshot.endpoint == MESSAGES else parse_output_line
        self._price = pipeline.prices.price(snapshot.provider, snapshot.model, snapshot.mode)
        self._snapshot = snapshot
        self._written = written
        make_collected_rows(connection)

    def put_files(self, paths: list[Path], garbled: Garbled) -> None:
        """Those of output and error files; lines that can't be read are counted."""
        for lines in self._lines(paths, garbled):
            rows: list[Row] = []
            for place, raw in lines:
                line = self._parse(raw)
                if line is not None:
                    rows += [row_of(place, *judged) for judged in self._judge(line)]
                else:
                    garbled.count += bool(raw.strip())
            add_rows(self._connection, self._table(rows))

    def _lines(self, paths: list[Path], garbled: Garbled) -> Iterable[list[tuple[int, bytes]]]:
        """What is to be judged line by line: all, or what is left of chat completions."""
        if not paths or self._snapshot.endpoint != CHAT or not can_be_read(paths):
            return _chunks(paths)
        validate = validator(self._snapshot.answer_schema)
        garbled.count += put_plain_rows(self._connection, paths, self._price, validate)
        return take_others(self._connection, CHUNK)

    def put_errors(self, batch: Batch) -> None:
        """A batch that failed validation has no files: the lines that it names failed; none named, all did."""
        if too_many_tokens(batch):
            return
        named = {line: error for error in batch.errors if isinstance(line := error.get("line"), int)}
        lines = list(named) or list(range(1, batch.requests + 1))
        rows = [
            row_of(line, custom_id, _failed(named.get(line) or (batch.errors[0] if batch.errors else {})))
            for line, custom_id in results.inputs_at_lines(self._connection, self._written, lines)
        ]
        add_rows(self._connection, self._table(rows))

    def _table(self, rows: list[Row]) -> pa.Table:
        found = list(zip(*rows, strict=True)) or [()] * len(Row._fields)
        columns: dict[str, Any] = dict(zip(Row._fields, found, strict=True))
        vectors = _vectors(columns.pop("vector"))
        tokens = (columns[f"{kind}_tokens"] for kind in ("input", "cached", "output", "cache_write"))
        return _table(columns | {"cost_usd": self._price.costs(*tokens)} | vectors)


def row_of(place: int, custom_id: str, result: Result) -> Row:
    """A result as a row."""
    usage = result.usage
    return Row(
        place,
        custom_id,
        result.outcome,
        result.http_status,
        result.error_code,
        result.error_message,
        usage.input_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        result.response_text,
        result.vector,
    )


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


def _chunks(paths: list[Path]) -> Iterator[list[tuple[int, bytes]]]:
    places = count(1)
    for path in paths:
        with path.open("rb") as file:
            while lines := file.readlines(CHUNK * 512):
                yield list(zip(places, lines))  # noqa: B905 - places have no end
