"""A selection as SQL, and its records as they stream out of the warehouse."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

CHUNK = 10_000
"""Records that are in memory at a time, and a transaction of the ledger."""

WINDOW = 50_000
"""Records whose texts are put in order at a time."""

WINDOW_MEMORY = "128MB"
"""What DuckDB may keep meanwhile; measured for a million: no second more, and 290 MB less."""


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
        """The records to ask about, in chunks: the prompt's columns, and `record_id, repo, night, content_hash`.

        Where they are many, their ids alone are put in order, and their texts are read window by window: DuckDB would
        hold all of them to sort them (1 million records of 700 characters: 2 GB).
        """
        if self.count <= WINDOW:
            result = connection.execute(self.wanted, bound(self.parameters, self.wanted))
            yield from result.to_arrow_reader(CHUNK)
            return
        connection.execute(f"CREATE OR REPLACE TEMP TABLE _asked AS {self.keys}", bound(self.parameters, self.keys))
        ((count,),) = connection.execute("SELECT count(*) FROM _asked").fetchall()
        with _little_memory(connection) as all_of_it:
            for start in range(0, count, WINDOW):
                places = {**bound(self.parameters, self.window), "first": start, "last": start + WINDOW - 1}
                yield from self._window(connection, places, all_of_it)
        connection.execute("DROP TABLE _asked")

    def _window(
        self, connection: DuckDBPyConnection, places: Mapping[str, object], all_of_it: Callable[[], None]
    ) -> Generator[pa.RecordBatch]:
        import duckdb

        try:
            result = connection.execute(self.window, places)
        except duckdb.OutOfMemoryException:  # a task's SQL may need more
            all_of_it()
            result = connection.execute(self.window, places)
        yield from result.to_arrow_reader(CHUNK)

    def stream(self, connection: DuckDBPyConnection) -> Generator[list[dict[str, object]]]:
        """The same, record by record."""
        for batch in self.batches(connection):
            yield cast("list[dict[str, object]]", batch.to_pylist())


def bound(parameters: Mapping[str, object], sql: str) -> dict[str, object]:
    """Those of the parameters that `sql` names."""
    return {name: value for name, value in parameters.items() if f"${name}" in sql}


@contextmanager
def _little_memory(connection: DuckDBPyConnection) -> Generator[Callable[[], None]]:
    """DuckDB keeps what it has read, up to 80 % of the machine's memory: of each window, for no use.

    Gives a function that lets it have all of that again; so does the end of the block.
    """
    import duckdb

    ((before,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()

    def limit(memory: str) -> None:
        with suppress(duckdb.Error):  # a guarded connection's settings are locked; or more is in use already
            connection.execute(f"SET memory_limit = '{memory}'")

    limit(WINDOW_MEMORY)
    try:
        yield partial(limit, before)
    finally:
        limit(before)
