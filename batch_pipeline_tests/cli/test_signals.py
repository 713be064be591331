"""SIGTERM to any process: it ends within 5 s, in a state that goes on to the right end."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import duckdb
import pytest

from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.command import environment, started

SECONDS = 5.0
"""How long a process may take to end."""


@contextmanager
def running(tmp_path: Path, url: str, *arguments: object) -> Generator[subprocess.Popen[bytes]]:
    """The command in a process of its own; killed with the block, if it still lives then."""
    process = started(environment(tmp_path / "data", BATCH_PIPELINE_LOCAL_URL=url), *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[bytes]) -> int:
    """Asks the process to end; its exit code."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code = process.wait(SECONDS)
    assert time.monotonic() - began < SECONDS
    return code


def wait_for_line(stream: IO[bytes] | None, text: str) -> str:
    """The first line that has this in it."""
    assert stream is not None
    for line in stream:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"it ended without saying `{text}`")


@pytest.fixture
def loaded(command: Command, issue_files: Path) -> Command:
    """The command, with three issues loaded."""
    command("issues", "load", issue_files)
    return command


def through(command: Command, *job: str) -> dict[str, object]:
    """The one job that there is, waited for."""
    job_id = job or [one["job_id"] for one in command("list", "--json").json]
    ran = command("collect", *job_id, "--wait", "--poll-seconds", "0.1", "--json")
    assert ran.code == 0, ran.err
    return ran.json


def test_a_wait_that_is_ended_is_taken_up_again(
    loaded: Command, books: Books, server: RunningServer, tmp_path: Path
) -> None:
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 2})
    job = loaded("submit", "issue-kind", "--json").json["job_id"]
    with running(tmp_path, server.url, "collect", job, "--wait", "--poll-seconds", "0.1") as process:
        wait_for_line(process.stdout, "Completed: ")
        assert end(process) != 0
    assert through(loaded, job)["outcomes"] == {"answered": 3}
    assert (len(books.batches), books.lines_executed) == (1, 3)


@pytest.mark.parametrize("route", ["files.create", "batches.create"])
def test_a_submit_that_is_ended_in_the_middle_of_a_call_is_settled(
    loaded: Command, books: Books, server: RunningServer, tmp_path: Path, route: str
) -> None:
    books.order({"kind": "reply_late", "on": route, "seconds": 20})
    with running(tmp_path, server.url, "submit", "issue-kind") as process:
        books.wait_until_struck()
        assert end(process) != 0
    books.order()
    assert through(loaded)["outcomes"] == {"answered": 3}
    assert (len(books.batches), books.lines_executed) == (1, 3)


def test_a_submit_that_is_ended_while_it_plans_goes_on_under_its_key(
    loaded: Command, books: Books, server: RunningServer, tmp_path: Path
) -> None:
    submit = ("submit", "issue-kind", "--key", "mine")
    with duckdb.connect(str(tmp_path / "data" / "warehouse.duckdb")), running(tmp_path, server.url, *submit) as process:
        wait_for_line(process.stderr, "is held by")
        assert end(process) != 0
    assert loaded(*submit).code == 0
    assert through(loaded)["outcomes"] == {"answered": 3}
    assert (len(books.batches), books.lines_executed) == (1, 3)


def test_a_local_server_that_is_ended_goes_on_where_it_was(
    settings: Callable[..., None], loaded: Command, tmp_path: Path
) -> None:
    state = tmp_path / "other"
    serve = ("local-server", "--engine", "simulated", "--port", "0", "--state-dir", state, "--seconds", "1")
    with running(tmp_path, "http://127.0.0.1:9/v1", *serve) as process:
        url = wait_for_line(process.stdout, "Listening on").split()[2].rstrip(",")
        settings(local_url=url)
        job = loaded("submit", "issue-kind", "--json").json["job_id"]
        late = Books(RunningServer(url))
        late.order({"kind": "reply_late", "on": "batches.list", "seconds": 20})
        with running(tmp_path, url, "status", job):
            late.wait_until_struck()
            assert end(process) == 0
    port = int(url.removesuffix("/v1").rpartition(":")[2])
    with start(LocalServerOptions(port=port, state_dir=state)) as again:
        assert through(loaded, job)["outcomes"] == {"answered": 3}
        books = Books(again)
        assert (len(books.batches), books.lines_executed) == (1, 3)
