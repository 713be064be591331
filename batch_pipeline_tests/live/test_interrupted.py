"""A run that is killed or interrupted is gone on with: nothing is left at the server, nothing is bought twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.command import environment
from batch_pipeline_tests.live.conftest import KEY, Runs
from batch_pipeline_tests.live.test_live import lines_of, nothing_left
from batch_pipeline_tests.live.trials import ROWS

QUICK = ["--samples", "1", "--posts-after", "0", "--every", "0.02", "--longest", "5"]


def called(data_dir: Path, *arguments: str, **variables: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "batch_pipeline_tests.live", *arguments]
    return subprocess.Popen(
        command, env=environment(data_dir, **variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@contextmanager
def under_way(server: RunningServer, data_dir: Path) -> Generator[subprocess.Popen[bytes]]:
    with called(data_dir, *QUICK, LIVE=1, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("on", "skip"), [("files.create", 0), ("batches.create", 0), ("files.delete", 1)])
def test_a_killed_run_is_gone_on_with(
    server: RunningServer, books: Books, live: Runs, tmp_path: Path, on: str, skip: int
) -> None:
    books.order({"kind": "reply_late", "on": on, "seconds": 60, "skip": skip})
    with under_way(server, tmp_path / "data") as process:
        books.wait_until_struck()
        if on == "batches.create":
            wait_for(lambda: len(books.batches) == 1)
        process.kill()
    assert live() == 0
    assert any("Going on with the run" in line for line in live.said)
    assert nothing_left(books)
    assert lines_of(books, live, "usage") == [ROWS]
    assert not live.under_way


@pytest.mark.parametrize(
    ("stage", "bought"), [("in_progress", [ROWS]), ("validating", [0, ROWS])], ids=["executed", "not executed"]
)
def test_ctrl_c_takes_everything_away(
    server: RunningServer, books: Books, live: Runs, tmp_path: Path, stage: str, bought: list[int]
) -> None:
    """A batch that had executed its lines when it was cancelled is not bought again; another one is."""
    books.order({"kind": "slow", "stage": stage, "seconds": 60})
    with under_way(server, tmp_path / "data") as process:
        wait_for(lambda: sum(batch["status"] in ("completed", "failed", "cancelled") for batch in books.batches) == 3)
        process.send_signal(signal.SIGINT)
        told, wrong = process.communicate(timeout=20)
    assert process.returncode == 130, wrong
    assert b"Run this again" in told
    assert nothing_left(books)
    assert live() == 0
    assert lines_of(books, live, "usage") == bought
    assert nothing_left(books)


def test_ctrl_c_while_a_batch_is_created_does_not_lose_the_reply(
    server: RunningServer, books: Books, live: Runs, tmp_path: Path
) -> None:
    books.order(
        {"kind": "reply_late", "on": "batches.create", "seconds": 0.5},
        {"kind": "slow", "stage": "validating", "seconds": 60},
    )
    with under_way(server, tmp_path / "data") as process:
        books.wait_until_struck()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
    assert len(books.batches) == 1
    assert books.lines_executed == 0
    assert nothing_left(books)


def test_it_is_asked_for_in_words_and_with_a_key(server: RunningServer, books: Books, tmp_path: Path) -> None:
    at = {"OPENAI_BASE_URL": server.url}
    with called(tmp_path, **at, OPENAI_API_KEY=KEY) as unasked, called(tmp_path, "--yes", **at) as without_key:
        told = unasked.communicate(timeout=60)[1], without_key.communicate(timeout=60)[1]
    assert (unasked.returncode, without_key.returncode) == (2, 2)
    assert b"Say `LIVE=1`" in told[0]
    assert b"set OPENAI_API_KEY" in told[1]
    assert not books.batches
    assert books.files_kept == 0
