"""`watch`: a table in a terminal, lines in a pipe; Ctrl-C leaves the work running."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.cli.test_operations import submitted
from batch_pipeline_tests.command import COMMAND, environment

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
FAST = ("--poll-seconds", "0.1")


def test_into_a_pipe_it_is_lines_and_what_came_of_it(command: Command, issue_files: Path) -> None:
    ran = command("watch", submitted(command, issue_files), *FAST)
    assert ran.code == 0
    assert "Completed: 3/3 (done)" in ran.out.splitlines()
    assert "is done: 3 records, 3 answered." in ran.out
    assert "\x1b" not in ran.out


def test_as_json_it_says_where_the_job_stands_in_the_end(command: Command, issue_files: Path) -> None:
    ran = command("watch", submitted(command, issue_files), "--json", *FAST)
    assert (ran.json["state"], ran.json["outcomes"]) == ("done", {"answered": 3})


def test_it_needs_a_job_that_there_is(offline: Command) -> None:
    ran = offline("watch", "nope")
    assert (ran.code, "no job `nope`" in ran.sentence) == (2, True)


@pytest.mark.parametrize("columns", [80, 120])
def test_in_a_terminal_it_is_a_table_that_ctrl_c_leaves(
    command: Command, issue_files: Path, books: Books, server: RunningServer, tmp_path: Path, columns: int
) -> None:
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 20})
    job = submitted(command, issue_files)
    ours, theirs = pty.openpty()
    given = environment(tmp_path / "data", BATCH_PIPELINE_LOCAL_URL=server.url, COLUMNS=columns, TERM="xterm")
    process = subprocess.Popen([*COMMAND, "watch", job, *FAST], env=given, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    seen = ""
    while "Ctrl-C leaves the work running" not in seen:
        seen += os.read(ours, 65536).decode(errors="replace")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    os.close(ours)
    assert process.returncode == 130
    assert said.decode().startswith("Stopped watching")  # no error
    assert f"Come back with: batch-pipeline watch {job}" in said.decode()
    assert "in progress" in seen
    assert "/3 requests" in seen
    assert all(len(line) <= columns for line in ESCAPES.sub("", seen).splitlines())
    books.order()
    assert command("status", job, "--cached", "--json").json["state"] == "in_flight"


def test_a_job_that_waits_for_anothers_answers_says_so_and_counts_its_records(
    command: Command, issue_files: Path, books: Books
) -> None:
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 2.5})
    submitted(command, issue_files)
    lines = command("collect", submitted(command, issue_files, "--force"), "--wait", *FAST).out.splitlines()
    assert lines[0] == "Completed: 0/3 (in flight, waiting for another job's answers)"
    assert "Completed: 3/3 (done)" in lines
