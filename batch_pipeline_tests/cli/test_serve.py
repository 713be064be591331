"""`serve`, as a process: it says where it listens, is killed, and goes on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.api.conftest import TOKEN, Client
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.command import environment, started


@contextmanager
def serving(data_dir: Path, server: RunningServer) -> Generator[tuple[subprocess.Popen[bytes], Client]]:
    """A server in a process of its own, and a client of it."""
    settings = environment(data_dir, BATCH_PIPELINE_LOCAL_URL=server.url, BATCH_PIPELINE_API_TOKEN=TOKEN)
    process = started(settings, "serve", "--port", "0")
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode()
        assert line.startswith("Listening on http://127.0.0.1:"), process.communicate()
        with Client(line.split()[2].rstrip(";")) as client:
            yield process, client
    finally:
        process.kill()
        process.communicate()


def test_killed_right_after_it_answered_it_goes_on_at_the_next_start(
    command: Command, issue_files: Path, server: RunningServer, books: Books, tmp_path: Path
) -> None:
    command("issues", "load", issue_files)
    with serving(tmp_path / "data", server) as (process, client):
        job = client.create(key="mine").json()["job_id"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with serving(tmp_path / "data", server) as (process, client):
        assert client.create(key="mine").json()["job_id"] == job
        assert client.done(job)["outcomes"] == {"answered": 3}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert (len(books.paid), books.lines_executed) == (1, 3)


@pytest.mark.parametrize("options", [(), ("--insecure", "--host", "0.0.0.0")])
def test_without_a_token_it_does_not_start_for_others_to_reach(offline: Command, options: tuple[str, ...]) -> None:
    ran = offline("serve", "--port", "0", *options)
    assert ran.code == 2
    assert "BATCH_PIPELINE_API_TOKEN" in ran.sentence
    assert TOKEN not in ran.sentence
