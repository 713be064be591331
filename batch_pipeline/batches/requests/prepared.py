"""A selection as SQL, and its records as they stream out of the warehouse."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from batch_pipeline.warehouse.ducklake import is_lake

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

CHUNK = 10_000
"""Records that are decided about at a time."""

CONTENT_HASH = "_content_hash"
"""Column of what a record's content comes to; a record may have one of its own without the underscore."""

AT_ONCE = 50_000
"""Records whose texts DuckDB may put in order all together."""

WINDOW = 30_000
"""Records whose texts are read at a time, of more than that. Each time all texts may have to be looked through."""

WINDOW_BYTES = 96 * 1000**2
"""What DuckDB may keep meanwhile; twice as much where texts are so long that it lacks the memory, and so on. Measured
for a million of 700 characters: no second more, and 300 MB less."""


@dataclass(frozen=True)
class Prepared:
    """A selection as SQL that has been checked against the warehouse.

    `count` are the records of all of it, the answered ones included; `wanted` gives what is to be asked about. Where
    that is much, `keys` gives its ids with their places, from 0, and `window` the records of the places `$first` to
    `$last` of a table `_asked` of these.
    """

    count: int
    wanted: str
    keys: str
    window: str
    parameters: Mapping[str, object]
    columns: tuple[str, ...]

    def batches(self, connection: DuckDBPyConnection) -> Generator[pa.RecordBatch]:
        """The records to ask about, in chunks: the prompt's columns, and `record_id, repo, night, _content_hash`.

        Where they are many, their ids alone are put in order, and their texts are read window by window: DuckDB would
        hold all of them to sort them (1 million records of 700 characters: 2 GB).
        """
        if self.count <= AT_ONCE:
            result = connection.execute(self.wanted, bound(self.parameters, self.wanted))
            yield from result.to_arrow_reader(CHUNK)
            return
        connection.execute(f"CREATE OR REPLACE TEMP TABLE _asked AS {self.keys}", bound(self.parameters, self.keys))
        ((count,),) = connection.execute("SELECT count(*) FROM _asked").fetchall()
        with _little_memory(connection) as more:
            for start in range(0, count, WINDOW):
                places = {**bound(self.parameters, self.window), "first": start, "last": start + WINDOW - 1}
                yield from self._window(connection, places, more)
        connection.execute("DROP TABLE _asked")

    def _window(
        self, connection: DuckDBPyConnection, places: Mapping[str, object], more: Callable[[], bool]
    ) -> Generator[pa.RecordBatch]:
        import duckdb

        while True:
            try:
                result = connection.execute(self.window, places)
            except duckdb.OutOfMemoryException:
                if not more():
                    raise
            else:
                yield from result.to_arrow_reader(CHUNK)
                return

    def stream(self, connection: DuckDBPyConnection) -> Generator[list[dict[str, object]]]:
        """The same, record by record."""
        for batch in self.batches(connection):
            yield cast("list[dict[str, object]]", batch.to_pylist())


def bound(parameters: Mapping[str, object], sql: str) -> dict[str, object]:
    """Those of the parameters that `sql` names."""
    return {name: value for name, value in parameters.items() if f"${name}" in sql}


@contextmanager
def _little_memory(connection: DuckDBPyConnection) -> Generator[Callable[[], bool]]:
    """DuckDB keeps what it has read, up to 80 % of the machine's memory: of each window, for no use.

    Gives a function that lets it keep twice as much, at last all that it might before, and says whether there was more
    to have; at the end of the block it has all again. (`RESET memory_limit` has no effect in DuckDB 1.5.5 but on what
    it shows.) A lake is left alone: what fails there ends the transaction that it is read in.
    """
    import duckdb

    if is_lake(connection):
        yield lambda: False
        return
    ((before,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    less = (size for size in (WINDOW_BYTES << doubled for doubled in range(6)) if size < _bytes(before))
    steps = iter([*(f"{size}B" for size in less), str(before)])

    def more() -> bool:
        memory = next(steps, None)
        if memory is None:
            return False
        try:
            connection.execute(f"SET memory_limit = '{memory}'")
        except duckdb.Error:  # a guarded connection's settings are locked; or more is in use already
            return False
        return True

    more()
    try:
        yield more
    finally:
        with suppress(duckdb.Error):  # as above
            connection.execute(f"SET memory_limit = '{before}'")


def _bytes(told: str) -> float:
    """As DuckDB tells a size: `18.8 GiB`."""
    number, unit = told.split()
    return float(number) * 1024 ** ("bytes", "KiB", "MiB", "GiB", "TiB").index(unit)
