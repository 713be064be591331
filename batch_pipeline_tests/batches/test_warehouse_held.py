"""Another process holds the warehouse: what does not need it goes on, and collection waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import duckdb
import pytest

from batch_pipeline.batches.cancel import cancel
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.standing.status import BatchState, status
from batch_pipeline.batches.submit import submit
from batch_pipeline.batches.turn import submit_job, take_turn
from batch_pipeline.errors import WarehouseBusy
from batch_pipeline.ledger.jobs import Job
from batch_pipeline_tests.batches.chain import answers, mood, planned, run, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.processes import processes


def hold(path: Path, pipe: Pipe) -> None:
    """Holds the file as a program that knows nothing of this project, until it is told to let go."""
    with duckdb.connect(str(path)):
        pipe.send("held")
        pipe.recv()
    pipe.send("let go")


@contextmanager
def held(path: Path) -> Generator[tuple[int, Callable[[], None]]]:
    """Another process holds the file; its pid, and how to make it let go."""
    ours, theirs = processes.Pipe()
    holder = processes.Process(target=hold, args=(path, theirs))
    holder.start()

    def let_go() -> None:
        ours.send("let go")
        assert ours.recv() == "let go"

    try:
        assert ours.recv() == "held"
        assert holder.pid is not None
        yield holder.pid, let_go
    finally:
        holder.kill()
        holder.join()
        holder.close()
        ours.close()
        theirs.close()


def states(pipeline: Pipeline, job: Job) -> list[BatchState]:
    return [batch.state for batch in status(pipeline, job.job_id).batches]


class Said(logging.Handler):
    """Keeps what was logged last, and tells when it was."""

    def __init__(self) -> None:
        super().__init__()
        self.line = ""
        self.seen = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.line = record.getMessage()
        self.seen.set()


@pytest.fixture
def said() -> Generator[Said]:
    """The log of the warehouse, listened to."""
    handler, log = Said(), logging.getLogger("batch_pipeline.warehouse.duckdb_file")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def test_sending_polling_and_cancelling_go_on_and_collection_waits_and_says_for_whom(
    pipeline: Pipeline, books: Books, said: Said
) -> None:
    books.order({"kind": "slow", "stage": "validating", "seconds": 600, "skip": 1})
    write_notes(pipeline, 2)
    first = planned(pipeline)
    write_notes(pipeline, {"other-1": "another one", "other-2": "one more"})
    second = planned(pipeline)
    collecting = threading.Thread(target=take_turn, args=[pipeline, first.job_id])
    with held(pipeline.warehouse.path) as (pid, let_go):
        for job in (first, second):
            submit_job(pipeline, job.job_id)
        assert (states(pipeline, first), states(pipeline, second)) == (["submitted"], ["submitted"])
        while states(pipeline, first) != ["ended"]:
            poll(pipeline, "local")
        cancel(pipeline, second.job_id)
        while states(pipeline, second) != ["ended"]:
            poll(pipeline, "local")
        collecting.start()
        assert said.seen.wait(30)
        assert f"held by process {pid} " in said.line
        assert states(pipeline, first) == ["ended"]
        poll(pipeline, "local")
        submit(pipeline, "local")
        let_go()
    collecting.join(30)
    assert states(pipeline, first) == ["collected"]
    assert status(pipeline, first.job_id).outcomes == {"answered": 2}
    cancelled = run(pipeline, second)
    assert (cancelled.state, sum(cancelled.outcomes.values())) == ("cancelled", 2)
    assert len(answers(pipeline, mood)) == 2 + cancelled.answered == books.lines_executed
    assert len(books.batches) == 2


def test_a_collection_that_waited_for_too_long_names_the_holder_and_loses_nothing(
    pipeline: Pipeline, books: Books
) -> None:
    write_notes(pipeline, 2)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    pipeline.warehouse.wait_seconds = 0.1
    with held(pipeline.warehouse.path) as (pid, let_go):
        while states(pipeline, job) != ["ended"]:
            poll(pipeline, "local")
        with pytest.raises(WarehouseBusy, match=f"held by process {pid}"):
            take_turn(pipeline, job.job_id)
        let_go()
    assert run(pipeline, job).outcomes == {"answered": 2}
    assert books.lines_executed == 2
