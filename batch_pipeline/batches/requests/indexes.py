"""The two indexes beside the files of a plan: where each request is, and from which one each record gets its answer.

Each group of their rows is of one batch or two, and Parquet keeps the least and the largest of each group: whoever
wants a batch's rows (`WHERE batch = $number`) reads these groups alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from batch_pipeline.batches.requests.columns import Column, transposed
from batch_pipeline.warehouse import plan_index

if TYPE_CHECKING:
    import pyarrow as pa

Share = Literal["sent", "reused", "waiting", "unsendable"]
"""How a record gets its answer: by a request of this job; by an answer bought before; by another job's request that
is in flight; or not, since its request is too large for any file, or can't be made."""

_SOUGHT: Any = ["batch"]
"""The column whose least and largest value each group is kept with; typed as bool."""


class Placed(NamedTuple):
    """Inputs of requests, column by column.

    Each is in a `line` of its file, from 1, and has a `position` there, from 0.
    """

    custom_id: Sequence[str]
    batch: Sequence[int]
    line: Sequence[int]
    position: Sequence[int]
    fingerprint: Sequence[str]
    input_tokens: Sequence[int]


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


@dataclass(frozen=True, slots=True)
class RecordRows:
    """Many of them, column by column."""

    record_id: Column
    repo: Column
    night: Column
    content_hash: Column
    part: Column
    fingerprint: Column
    custom_id: Sequence[str]
    share: Sequence[Share]
    code: Column
    note: Column

    def __len__(self) -> int:
        return len(self.share)

    @classmethod
    def of(cls, rows: Iterable[RecordRow]) -> RecordRows:
        """The columns of these rows."""
        return cls(*cast("list[Any]", transposed(rows, RecordRow._fields)))

    def at(self, places: Sequence[int]) -> RecordRows:
        """Those at these places."""
        return RecordRows(*cast("list[Any]", [[column[place] for place in places] for column in self.columns()]))

    def columns(self) -> list[Column]:
        """All of them, in their order."""
        return [getattr(self, name) for name in RecordRow._fields]


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

    def add(self, placed: Sequence[Placed], records: RecordRows) -> None:
        """Takes requests as they were put into files, and records that they or earlier ones answer."""
        columns: Sequence[Column] = placed[0] if len(placed) == 1 else _joined(placed)
        self._requests.write(_table(columns, request_schema()))
        batches = {name: part.batch[0] for part in placed for name in part.custom_id}
        sent = zip(records.custom_id, records.share, strict=True)
        marks = [batches.get(name) if share == "sent" else None for name, share in sent]
        self._records.write(self._without_strays(_table([*records.columns(), marks], record_schema()), records, marks))
        self._by_batch.update(mark for mark in marks if mark is not None)

    def _without_strays(self, table: pa.Table, records: RecordRows, marks: Sequence[int | None]) -> pa.Table:
        """Puts aside those of the records whose request is of an earlier call."""
        strays = [mark is None and share == "sent" for mark, share in zip(marks, records.share, strict=True)]
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
        return self._stack.enter_context(
            pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=few, write_statistics=_SOUGHT)
        )


def _joined(placed: Sequence[Placed]) -> Sequence[Column]:
    columns = [[value for part in parts for value in part] for parts in zip(*placed, strict=True)]
    return columns or [()] * len(Placed._fields)


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


def _table(columns: Sequence[Column], schema: pa.Schema) -> pa.Table:
    """The columns as they are to be written."""
    import pyarrow as pa

    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
