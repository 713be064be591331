"""A program that is killed, wherever it is, and run again buys nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from batch_pipeline.batches import points
from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.command import environment
from batch_pipeline_tests.notebook import program
from batch_pipeline_tests.processes import processes

COUNT = 5


def program_here(url: str, data_dir: Path, point: str | None) -> None:
    """The program, in a process of its own that dies at a point."""
    os.environ.update(environment(data_dir, BATCH_PIPELINE_LOCAL_URL=url))
    if point is not None:
        points.hook = lambda reached: os.kill(os.getpid(), signal.SIGKILL) if reached == point else None
    program.main(COUNT)


def test_a_program_killed_while_it_waits_goes_on_with_its_job(
    server: RunningServer, books: Books, tmp_path: Path
) -> None:
    books.order({"kind": "slow", "stage": "finalizing", "seconds": 3, "filename": "*-0001-*"})
    command = [sys.executable, program.__file__, str(COUNT)]
    ours = environment(tmp_path / "data", BATCH_PIPELINE_LOCAL_URL=server.url, PYTHONUNBUFFERED="1")
    with subprocess.Popen(command, env=ours, stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"submitted\n"
        killed.kill()
    assert len(books.batches) == 3
    again = subprocess.run(command, env=ours, capture_output=True, text=True, check=True)
    answers = json.loads(again.stdout.splitlines()[-1])
    assert list(answers) == [str(n) for n in range(COUNT)]
    assert (len(books.batches), books.lines_executed) == (3, COUNT)
    assert again.stderr == ""


@pytest.mark.parametrize(
    "point", ["plan.inflight_taken", "plan.ledger_committed", "send.replied", "collect.duckdb_committed"]
)
def test_a_program_killed_at_any_point_buys_nothing_twice(
    server: RunningServer, books: Books, tmp_path: Path, point: str
) -> None:
    ends: list[int | None] = []
    for strike in (point, None):
        process = processes.Process(target=program_here, args=(server.url, tmp_path / "data", strike))
        process.start()
        process.join(60)
        ends.append(process.exitcode)
    assert ends == [-signal.SIGKILL, 0]
    assert (len(books.paid), books.lines_executed) == (3, COUNT)
