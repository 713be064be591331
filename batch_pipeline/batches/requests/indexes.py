"""The two indexes beside the files of a plan: where each request is, and from which one each record gets its answer.

Each group of their rows is of one batch or two, and Parquet keeps the least and the largest of each group: whoever
wants a batch's rows (`WHERE batch = $number`) reads these groups alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from batch_pipeline.warehouse import plan_index

if TYPE_CHECKING:
    import pyarrow as pa

Share = Literal["sent", "reused", "waiting", "unsendable"]
"""How a record gets its answer: by a request of this job; by an answer bought before; by another job's request that
is in flight; or not, since its request is too large for any file, or can't be made."""


class Placed(NamedTuple):
    """One input of a request: the `line` of its file that it is in, from 1, and its `position` there, from 0."""

    custom_id: str
    batch: int
    line: int
    position: int
    fingerprint: str
    input_tokens: int


class RecordRow(NamedTuple):
    """One record of a plan, and the request (or the answer) that it gets its answer from."""

    record_id: str
    repo: str | None
    night: date | None
    content_hash: str
    part: int
    fingerprint: str
    custom_id: str
    share: Share
    code: str | None = None
    note: str | None = None
    """Why it is not sent, as a word and as a sentence."""


class Indexes:
    """Writes both. To be used in a `with` block.

    Args:
        requests: Where `requests.parquet` is to be.
        records: Where `records.parquet` is to be.
        strays: A file to put records aside in, if there are any that an earlier request answers.
    """

    def __init__(self, requests: Path, records: Path, strays: Path) -> None:
        self._paths = requests, records, strays
        self._stack = ExitStack()
        self._strays: Any = None  # pyarrow's writers have no types
        self._by_batch: Counter[int] = Counter()

    def __enter__(self) -> Indexes:
        requests, records, _ = self._paths
        self._requests = self._writer(requests, request_schema())
        self._records = self._writer(records, record_schema())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, at)

    def add(self, placed: Sequence[Placed], records: Sequence[RecordRow]) -> None:
        """Takes requests as they were put into files, and records that they or earlier ones answer."""
        self._requests.write(_table(list(zip(*placed, strict=True)), request_schema()))
        batches = {row.custom_id: row.batch for row in placed}
        marks = [batches.get(row.custom_id) if row.share == "sent" else None for row in records]
        columns = [*zip(*records, strict=True), marks] if records else []
        self._records.write(self._without_strays(_table(columns, record_schema())))
        self._by_batch.update(mark for mark in marks if mark is not None)

    def _without_strays(self, table: pa.Table) -> pa.Table:
        """Puts aside those of the records whose request is of an earlier call."""
        sent_by = zip(table["share"].to_pylist(), table["batch"].to_pylist(), strict=True)
        strays = [share == "sent" and batch is None for share, batch in sent_by]
        if not any(strays):
            return table
        if self._strays is None:
            self._strays = self._writer(self._paths[2], record_schema())
        self._strays.write(table.filter(strays))
        return table.filter([not stray for stray in strays])

    def close(self) -> Counter[int]:
        """Ends both; how many records each batch answers, by its number."""
        self._requests.close()
        if self._strays is not None:
            self._strays.close()
            self._put_strays()
        self._records.close()
        return self._by_batch

    def _put_strays(self) -> None:
        requests, _, strays = self._paths
        for found in plan_index.in_batches(requests, strays):
            table = found.cast(record_schema())
            self._by_batch.update(cast("list[int]", table["batch"].to_pylist()))
            self._records.write_batch(table)

    def _writer(self, path: Path, schema: pa.Schema) -> Any:  # noqa: ANN401 - pyarrow's writer has no types
        import pyarrow.parquet as pq

        few: Any = [
            name for name in ("repo", "night", "share", "code", "note") if name in schema.names
        ]  # typed as bool
        return self._stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=few))


def request_schema() -> pa.Schema:
    """Columns of `requests.parquet`, one row an input; those of `Placed`."""
    import pyarrow as pa

    whole = dict.fromkeys(("batch", "line", "position"), pa.int32())
    columns = dict.fromkeys(Placed._fields, pa.string()) | whole | {"input_tokens": pa.int64()}
    return pa.schema(list(columns.items()))


def record_schema() -> pa.Schema:
    """Columns of `records.parquet`; those of `RecordRow`, and the batch that has its request, if one has."""
    import pyarrow as pa

    columns = dict.fromkeys(RecordRow._fields, pa.string())
    columns |= {"night": pa.date32(), "part": pa.int32(), "batch": pa.int32()}
    return pa.schema(list(columns.items()))


def _table(columns: Sequence[Sequence[object]], schema: pa.Schema) -> pa.Table:
    """The columns as they are to be written; none where there is no row."""
    import pyarrow as pa

    filled = columns or [()] * len(schema.names)
    arrays = [pa.array(column, kind) for column, kind in zip(filled, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
