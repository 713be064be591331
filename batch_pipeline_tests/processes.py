"""Several processes that do the same at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

processes = multiprocessing.get_context("forkserver")
"""Processes of their own that begin in an instant: what they need is imported once, before the first of them."""

processes.set_forkserver_preload(
    [
        *(
            "pytest",
            "alembic.command",
            "duckdb",
            "pyarrow.parquet",
            "openai.resources.batches",
            "openai.resources.files",
        ),
        *("batch_pipeline.ledger.migrations", "batch_pipeline.batches.turn", "batch_pipeline.providers.openai"),
    ]
)


def at_once(count: int, work: Callable[[Path, int], object], folder: Path) -> list[Any]:
    """What `work(folder, number)` gave in each process; all begin when the last of them is ready."""
    barrier = processes.Barrier(count)
    pipes = [processes.Pipe(duplex=False) for _ in range(count)]
    workers = [
        processes.Process(target=_run, args=(work, folder, number, barrier, out))
        for number, (_, out) in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    for _, out in pipes:
        out.close()
    return _ends(workers, [received for received, _ in pipes])


def _run(work: Callable[[Path, int], object], folder: Path, number: int, barrier: Barrier, out: Connection) -> None:
    barrier.wait(60)
    out.send(work(folder, number))
    out.close()


def _ends(workers: Sequence[Any], pipes: Sequence[Any]) -> list[Any]:
    try:
        return [pipe.recv() for pipe in pipes]
    finally:
        for pipe, worker in zip(pipes, workers, strict=True):
            pipe.close()
            worker.join(60)
            worker.close()
