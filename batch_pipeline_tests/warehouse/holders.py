"""Processes that hold a warehouse until they are told to let go."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Literal

import duckdb

from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.locations import DuckDBFile, Location
from batch_pipeline_tests.processes import processes

COUNT = "SELECT count(*) FROM batch_results"
ROW = "INSERT INTO batch_results (custom_id) VALUES ('r')"
How = Literal["foreign", "writes", "locks"]


def count(warehouse: Warehouse) -> int:
    """Rows of `batch_results`."""
    with warehouse.read() as connection:
        (found,) = connection.execute(COUNT).fetchall()
    return found[0]


def variables() -> Mapping[str, str]:
    """What a process needs to find object storage: one that is forked from a server has that server's."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def hold(location: Location, environment: Mapping[str, str], how: How, pipe: Pipe) -> None:
    """Holds it until it is told to let go."""
    os.environ.update(environment)
    if how == "foreign":  # a program that knows nothing of this project
        assert isinstance(location, DuckDBFile)
        with duckdb.connect(str(location.path)):
            pipe.send("held")
            pipe.recv()
    elif how == "writes":
        with Warehouse(location).write() as connection:
            connection.execute(ROW)
            pipe.send("held")
            pipe.recv()
    else:
        with Warehouse(location).write_lock():
            pipe.send("held")
            pipe.recv()


@contextmanager
def held(warehouse: Warehouse, how: How) -> Generator[tuple[int, Pipe]]:
    """Another process holds the warehouse; its pid, and what to send to for it to let go."""
    ours, theirs = processes.Pipe()
    holder = processes.Process(target=hold, args=(warehouse.location, variables(), how, theirs))
    holder.start()
    try:
        assert ours.recv() == "held"
        assert holder.pid is not None
        yield holder.pid, ours  # pyright: ignore[reportReturnType] - a pipe's end
    finally:
        ours.close()
        theirs.close()
        holder.kill()
        holder.join()
        holder.close()
