"""Rows of whatever holds some: a pandas or polars frame, an Arrow table, a list of dicts or of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, cast, runtime_checkable

from batch_pipeline.errors import UsageError

Row = Mapping[str, object]


@runtime_checkable
class _Polars(Protocol):
    def iter_rows(self, *, named: bool) -> Iterable[Row]: ...


@runtime_checkable
class _Arrow(Protocol):
    def to_pylist(self) -> list[Row]: ...


@runtime_checkable
class _Pandas(Protocol):
    def astype(self, dtype: type) -> _Pandas: ...
    def notna(self) -> object: ...
    def where(self, cond: object, other: object) -> _Pandas: ...
    def to_dict(self, orient: str) -> list[Row]: ...


def rows_of(rows: object) -> Iterator[Row]:
    """Each row as a mapping of column to value; what is missing in a pandas frame is None.

    Raises:
        UsageError: It holds no rows.
    """
    for row in _iterable(rows):
        if isinstance(row, str):
            yield {"text": row}
        elif isinstance(row, Mapping):
            yield cast(Row, row)
        else:
            raise UsageError(
                f"A row is a {type(row).__name__}, and has no columns: give a frame, or dicts of column to value."
            )


def _iterable(rows: object) -> Iterable[object]:
    if isinstance(rows, _Polars):
        return rows.iter_rows(named=True)
    if isinstance(rows, _Pandas):
        return rows.astype(object).where(rows.notna(), None).to_dict("records")
    if isinstance(rows, _Arrow):
        return rows.to_pylist()
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise UsageError("`add_many` takes a frame, or an iterable of dicts or of texts.")
    return cast("Iterable[object]", rows)
