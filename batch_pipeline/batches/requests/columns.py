"""Columns in the place of rows: of a million records, an object for each would take most of a plan's time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    import pyarrow as pa

    Column = Sequence[object] | pa.Array[Any]
    """One value a row, in Python or as Arrow has it."""


def columns_of(rows: Iterable[NamedTuple], names: Sequence[str]) -> list[Sequence[object]]:
    """Rows with these fields, column by column."""
    return list(zip(*rows, strict=True)) or [()] * len(names)


def picked(column: Column, places: Sequence[int]) -> Sequence[object]:
    """The values at these places."""
    values = column if isinstance(column, (list, tuple)) else cast("pa.Array[Any]", column).to_pylist()
    return [values[place] for place in places]
