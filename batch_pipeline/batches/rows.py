"""Judges the rows of a batch's files, in chunks: what is in memory does not grow with the batch."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_pipeline.batches.download import Garbled
from batch_pipeline.batches.money import Settlement
from batch_pipeline.batches.outcomes import Result, Validate, judge, validator
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import TOKEN_LIMIT
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.warehouse import results
from batch_pipeline.warehouse.results import Written
from batch_pipeline.wire.lines import parse_output_line

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

CHUNK = 10_000
"""Rows that are in memory at a time."""


class Rows:
    """Judges the rows of a batch's files, in chunks."""

    def __init__(self, pipeline: Pipeline, snapshot: TaskSnapshot, garbled: Garbled) -> None:
        self._endpoint = snapshot.endpoint
        self._validate: Validate = validator(snapshot.answer_schema)
        self._settlement = Settlement(pipeline.prices.tariff(snapshot.provider, snapshot.model))
        self._garbled = garbled
        self._place = 0

    def of_files(self, paths: list[Path]) -> Generator[pa.Table]:
        """The rows of output and error files."""
        for lines in _chunks(paths):
            rows: list[tuple[str, Result]] = []
            for raw in lines:
                line = parse_output_line(raw)
                if line is None:
                    self._garbled.count += bool(raw.strip())
                else:
                    rows.append((line.custom_id, judge(line, self._endpoint, self._validate)))
            yield self._table(rows)

    def of_errors(self, connection: DuckDBPyConnection, written: Written, batch: Batch) -> Generator[pa.Table]:
        """A batch that failed validation has no files: the lines that it names failed; none named, all did."""
        if too_many_tokens(batch):
            return
        named = {line: error for error in batch.errors if isinstance(line := error.get("line"), int)}
        lines = list(named) or list(range(1, batch.requests + 1))
        rows = [
            (custom_id, _failed(named.get(line) or (batch.errors[0] if batch.errors else {})))
            for line, custom_id in results.custom_ids_of_lines(connection, written, lines).items()
        ]
        yield self._table(rows)

    def _table(self, rows: list[tuple[str, Result]]) -> pa.Table:
        usages = [result.usage for _, result in rows]
        tokens = {
            "input_tokens": [usage.input_tokens for usage in usages],
            "cached_tokens": [usage.cached_tokens for usage in usages],
            "cache_write_tokens": [usage.cache_write_tokens for usage in usages],
            "output_tokens": [usage.output_tokens for usage in usages],
        }
        start, self._place = self._place, self._place + len(rows)
        return _table(
            {
                "custom_id": [custom_id for custom_id, _ in rows],
                "place": range(start, self._place),
                "outcome": [result.outcome for _, result in rows],
                "http_status": [result.http_status for _, result in rows],
                "error_code": [result.error_code for _, result in rows],
                "error_message": [result.error_message for _, result in rows],
                **tokens,
                "reasoning_tokens": [usage.reasoning_tokens for usage in usages],
                "cost_usd": self._settlement.add_columns(
                    tokens["input_tokens"],
                    tokens["cached_tokens"],
                    tokens["output_tokens"],
                    tokens["cache_write_tokens"],
                ),
                "response_text": [result.response_text for _, result in rows],
            }
        )


def too_many_tokens(batch: Batch) -> bool:
    """The batch was larger than the provider's queue, and its requests go again in smaller ones; a single one can't."""
    return batch.requests > 1 and any(error.get("code") == TOKEN_LIMIT for error in batch.errors)


def _failed(error: dict[str, object]) -> Result:
    return Result("failed", None, str(error.get("code") or "batch_failed"), str(error.get("message") or "batch failed"))


def _table(columns: dict[str, Any]) -> pa.Table:
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {"place": pa.int64(), "http_status": pa.int32(), "cost_usd": pa.float64()}
    kinds |= {name: pa.int64() for name in columns if name.endswith("_tokens")}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
    return pa.table(columns, schema=schema)


def _chunks(paths: list[Path]) -> Iterator[list[bytes]]:
    for path in paths:
        with path.open("rb") as file:
            while lines := file.readlines(CHUNK * 512):
                yield lines
