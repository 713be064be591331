"""A key reaches no log, error, ledger, warehouse or file, whatever goes wrong on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.command import environment
from batch_pipeline_tests.fake_github import FakeGitHub, Fault, fake_github

KEY = "sk-marked-7Qm2x9Vt4Lr8"
TOKEN = "ghp_marked5Hn3z6Kd1Wb0"
NOW = {"retry-after-ms": "1", "retry-after": "0"}
"""What the client waits for before it asks again."""
ECHO = f"Incorrect API key provided: {KEY}. You can find it in your account."


CALLS = """
import json, os, sys
from batch_pipeline.cli import main
for line in sys.stdin:
    code = main(json.loads(line))
    sys.stdout.flush()
    os.write(int(sys.argv[1]), bytes([code]))
"""
"""A process that is given one call after another: to start one for each took four times as long."""


class Told:
    """The command in a process of its own; all that it says on stdout and stderr goes to a file."""

    def __init__(self, environment: Mapping[str, str], said: Path) -> None:
        self.said = said
        self._codes, theirs = os.pipe()
        with said.open("wb") as file:
            given = [sys.executable, "-c", CALLS, str(theirs)]
            self._process = subprocess.Popen(
                given, env=dict(environment), stdin=subprocess.PIPE, stdout=file, stderr=file, pass_fds=[theirs]
            )
        os.close(theirs)

    def __call__(self, *arguments: object, code: int = 0) -> str:
        """Calls a verb; what it said."""
        before = self.said.stat().st_size
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(argument) for argument in arguments]).encode() + b"\n")
        self._process.stdin.flush()
        ended = os.read(self._codes, 1)
        told = self.said.read_bytes()[before:].decode()
        assert ended == bytes([code]), told
        return told

    def end(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        os.close(self._codes)


@pytest.fixture
def told(tmp_path: Path, server: RunningServer, github: FakeGitHub) -> Iterator[Told]:
    """The command with both keys, and everything logged."""
    told = Told(
        environment(
            tmp_path / "data",
            OPENAI_API_KEY=KEY,
            OPENAI_BASE_URL=server.url,
            GITHUB_TOKEN=TOKEN,
            GITHUB_API_URL=github.url,
            BATCH_PIPELINE_PROVIDER="openai",
            BATCH_PIPELINE_LOG_FORMAT="json",
            BATCH_PIPELINE_MISSING_RECHECK_SECONDS=0,
        ),
        tmp_path / "said",
    )
    try:
        yield told
    finally:
        told.end()


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """A GitHub with two issues, for whoever has the token."""
    with fake_github() as running:
        running.token = TOKEN
        repo = running.repo("acme/orbit")
        for number in (1, 2):
            repo.issue(number, "2026-11-20T10:00:00Z")
        yield running


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_a_marked_key_is_nowhere_after_the_whole_life_of_a_job(
    told: Told, books: Books, github: FakeGitHub, tmp_path: Path
) -> None:
    pull = ("issues", "pull", "acme/orbit", "--since", "2026-11-01", "--debug")
    github.faults = [Fault(401, f"Bad credentials: {TOKEN}")]
    told(*pull, code=1)
    told(*pull)

    submit = ("submit", "issue-kind", "--key", "mine", "--debug")
    for refused in ("files.create", "batches.create"):
        books.order({"kind": "status", "on": refused, "status": 401, "code": "invalid_api_key", "message": ECHO})
        assert "(the key)" in told(*submit, code=1)
    books.order({"kind": "reply_lost", "on": "batches.create"})
    assert "the reply to create was lost" in told(*submit)
    job = job_in(tmp_path)

    books.order({"kind": "status", "on": "*", "status": 401, "message": ECHO, "times": None})
    for verb in (("collect", job, "--wait"), ("recover",), ("doctor",), ("cancel", "nope")):
        told(*verb, "--debug", code=2 if "nope" in verb else 1)
    slow = {"kind": "status", "status": 429, "headers": NOW, "message": f"Slow down, {KEY}", "times": 3}
    books.order({**slow, "on": "batches.list"}, {**slow, "on": "files.content"}, {"kind": "rows", "status": 429})
    told("collect", job, "--wait", "--poll-seconds", "0.1", "--json", "--debug")
    for verb in (("status",), ("status", job), ("cost",), ("doctor",), ("query", "FROM batch_jobs")):
        told(*verb, "--json", "--debug")
    told("query", "SELECT getenv('OPENAI_API_KEY')", code=2)

    assert b'"level": "warning"' in told.said.read_bytes()  # it did log
    found = [path.name for path in files(tmp_path) if any(key.encode() in path.read_bytes() for key in (KEY, TOKEN))]
    assert found == []


def job_in(tmp_path: Path) -> str:
    """The one job that has a folder."""
    (plan,) = (tmp_path / "data" / "batches").glob("*/plan.json")
    return plan.parent.name
