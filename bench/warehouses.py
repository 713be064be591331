"""One DuckDB file against DuckLake, on disk and on object storage: `python -m bench.warehouses --rows 50000`.

Starts a Postgres and an object storage of its own, on this machine; both are told apart from the pipeline's CPU. Prints
a table: what was done, seconds, and CPU seconds of the processes that did it. `load` stores batches of 50,000 answers
as collecting does (its results and its answers, in one transaction), and each step is a process of its own.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path

from batch_pipeline.warehouse.answers import make_table
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.locations import DuckDBFile, DuckLake, Location, located
from batch_pipeline.warehouse.upkeep import keep_up
from batch_pipeline_tests.scale.lakes import new_lake
from batch_pipeline_tests.scale.object_storage import ObjectStorage, running
from batch_pipeline_tests.scale.postgres import PostgresServer

WRITERS, BATCHES, BATCH_ROWS = 4, 10, 5_000
KINDS = {"label": "VARCHAR", "confidence": "DOUBLE", "reason": "VARCHAR"}
ANSWERS = """
    INSERT INTO {table} BY NAME
    SELECT 'acme/repo-' || (i % {repos}) || '#' || ({first} + i) AS record_id, 'acme/repo-' || (i % {repos}) AS repo,
        DATE '2026-01-01' + {night}::INTEGER AS night, ['bug', 'feature', 'question'][i % 3 + 1] AS label,
        i / {rows} AS confidence, repeat(md5(i::VARCHAR), 3) AS reason, 'local' AS provider, 'simulated' AS model,
        '12345678' AS prompt_version, '{batch}' AS job_id, '{batch}' AS batch_id, 'r' || i AS custom_id,
        md5(i::VARCHAR) AS content_hash, now() AS answered_at
    FROM range({rows}) AS rows(i)
"""
RESULTS = """
    INSERT INTO batch_results BY NAME
    SELECT 'r' || i AS custom_id, '{batch}' AS job_id, '{batch}' AS batch_id, 'mood' AS task, 'answered' AS outcome,
        200 AS http_status, 500 AS input_tokens, 0 AS cached_tokens, 0 AS cache_write_tokens, 40 AS output_tokens,
        0 AS reasoning_tokens, 0.0001 AS cost_usd, repeat(md5(i::VARCHAR), 5) AS response_text, now() AS answered_at
    FROM range({rows}) AS rows(i)
"""


def store(warehouse: Warehouse, batch: str, night: int, rows: int, repos: int, first: int = 0) -> None:
    """A batch, in place of what it has there."""
    names = {"table": "mood", "batch": batch, "night": night, "rows": rows, "repos": repos, "first": first}
    with warehouse.write() as connection:
        make_table(connection, "mood", KINDS)
        for table in ("mood", "batch_results"):
            connection.execute(f"DELETE FROM {table} WHERE batch_id = ?", [batch])  # noqa: S608 - two of ours
        connection.execute(ANSWERS.format(**names))
        connection.execute(RESULTS.format(**names))


def ask(warehouse: Warehouse, sql: str) -> None:
    """One read."""
    with warehouse.read() as connection:
        connection.execute(sql).fetchall()


def write_batches(location: Location, number: int) -> None:
    """What each of several writers does: batches of its own."""
    warehouse = Warehouse(location)
    for batch in range(BATCHES):
        store(warehouse, f"w{number}-{batch}", batch, BATCH_ROWS, 1, number * BATCHES * BATCH_ROWS)


def load(location: Location, rows: int, nights: int, repos: int) -> None:
    """Batches of nights, one after another."""
    for night in range(nights):
        store(Warehouse(location), f"n{night}", night, rows, repos)


def steps(location: Location, rows: int, nights: int, repos: int) -> Iterable[tuple[str, Callable[[], object]]]:
    """What is measured, in order."""
    warehouse, loads = Warehouse(location), partial(load, location, rows, nights, repos)
    night, latest = partial(ask, warehouse, NIGHT), partial(ask, warehouse, LATEST)
    yield "a process's first read", partial(ask, warehouse, STEPS)
    yield f"load {nights} x {rows:,}", loads
    yield "load them again", loads
    yield "read a night", night
    yield "newest of each record", latest
    if isinstance(location, DuckLake):
        yield "upkeep", partial(keep_up, warehouse, 0)
        yield "read a night, after it", night
        yield "newest of each record, after it", latest


NIGHT = "SELECT count(*), sum(confidence), max(reason) FROM mood WHERE night = DATE '2026-01-02'"
STEPS = "SELECT count(*) FROM schema_steps"
LATEST = "SELECT label, count(*) FROM mood_latest GROUP BY label"


def timed(*works: Callable[[], object]) -> tuple[float, float]:
    """Seconds until the last of these is done, and CPU seconds of all; each is a forked process of its own."""
    began, before = time.perf_counter(), _children()
    pids = [_forked(work) for work in works]
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    if any(codes):
        raise SystemExit("A step failed.")
    return time.perf_counter() - began, _children() - before


def _forked(work: Callable[[], object]) -> int:
    if pid := os.fork():
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def places(folder: Path, stack: ExitStack) -> Iterable[tuple[str, Location]]:
    """Where it is measured."""
    yield "file", DuckDBFile(folder / "warehouse.duckdb")
    server = PostgresServer.start(durable=True)
    stack.callback(server.stop)
    storage: ObjectStorage = stack.enter_context(running())
    for name, data in (("DuckLake, disk", folder / "lake"), ("DuckLake, object storage", storage)):
        made = new_lake(server, data, stack)
        yield name, located(str(made["warehouse_url"]), str(made["warehouse_data"]))


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000, help="of a batch")
    parser.add_argument("--nights", type=int, default=2, help="batches that are loaded")
    parser.add_argument("--repos", type=int, default=1, help="in each batch")
    given = parser.parse_args()
    for module in ("duckdb", "psycopg"):
        import_module(module)  # before the first fork, so that no step pays for it
    print("| where | what | seconds | CPU seconds |\n| --- | --- | --- | --- |")  # noqa: T201 - a command
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        for place, location in places(Path(name), stack):
            timed(partial(ask, Warehouse(location), STEPS))  # makes the tables
            for what, work in steps(location, given.rows, given.nights, given.repos):
                _tell(place, what, timed(work))
            writers = [partial(write_batches, location, number) for number in range(WRITERS)]
            _tell(place, f"{WRITERS} writers, {BATCHES} x {BATCH_ROWS:,} each", timed(*writers))


def _tell(place: str, what: str, took: tuple[float, float]) -> None:
    print(f"| {place} | {what} | {took[0]:.2f} | {took[1]:.2f} |", flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
