from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson
import pytest

from batch_pipeline.errors import UsageError
from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline.local_server.__main__ import main
from batch_pipeline_tests.local_server.account import Account, request_lines

COMMAND = (sys.executable, "-m", "batch_pipeline.local_server", "--port", "0")


@dataclass
class Process:
    """A server in a process of its own."""

    server: RunningServer
    process: subprocess.Popen[str]


@contextmanager
def running(state: Path, *options: str) -> Generator[Process]:
    command = [*COMMAND, "--state-dir", str(state), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            words = process.stdout.readline().split()
            assert words[:2] == ["listening", "on"]
            yield Process(RunningServer(words[2]), process)
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_batch_goes_on_after_a_restart_and_no_line_is_run_twice(tmp_path: Path, how: signal.Signals) -> None:
    with running(tmp_path, "--seconds", "2") as first, Account(first.server, "key") as account:
        batch = account.create(account.upload(request_lines(400)), {"claim": "c"})
        while not (counts := account.client.batches.retrieve(batch.id).request_counts) or counts.completed < 40:
            pass
        began = time.monotonic()
        first.process.send_signal(how)
        code = first.process.wait(timeout=10)
        assert time.monotonic() - began < 5
        assert code == (-signal.SIGKILL if how == signal.SIGKILL else 0)
    (part,) = tmp_path.glob("running/*.output")
    before = part.read_bytes()
    executed = before.count(b"\n")
    assert 40 <= executed < 400
    part.write_bytes(before + b'{"half a row')
    with running(tmp_path) as second, Account(second.server, "key") as account:
        ended = account.ended(batch.id)
        raw = account.raw(ended.output_file_id)
        assert raw.startswith(before)
        assert len(account.outcome(ended)) == 400
        assert ended.request_counts
        assert ended.request_counts.to_dict() == {"total": 400, "completed": 400, "failed": 0}
        assert ended.usage
        booked = account.booked(batch.id)
        assert (booked["lines_executed"], booked["input_tokens"]) == (400, ended.usage.input_tokens)
        assert list(tmp_path.glob("running/*")) == []


def test_a_batch_that_was_being_cancelled_is_cancelled_after_a_restart(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_bytes(orjson.dumps([{"kind": "slow", "stage": "cancelling", "seconds": 1}]))
    state = tmp_path / "state"
    with running(state, "--seconds", "60", "--faults", str(faults)) as first, Account(first.server, "key") as account:
        batch = account.create(account.upload(request_lines(10)))
        assert account.client.batches.cancel(batch.id).status == "cancelling"
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(timeout=10) == 0
    with running(state) as second, Account(second.server, "key") as account:
        assert account.client.batches.retrieve(batch.id).status == "cancelling"
        assert account.ended(batch.id).status == "cancelled"


def test_lines_that_a_cancelled_batch_did_not_execute_are_named(tmp_path: Path) -> None:
    options = LocalServerOptions(port=0, state_dir=tmp_path, seconds=3)
    with start(options) as server, Account(server, "key") as account:
        batch = account.create(account.upload(request_lines(100)))
        while not (counts := account.client.batches.retrieve(batch.id).request_counts) or not counts.completed:
            pass
        account.client.batches.cancel(batch.id)
        ended = account.ended(batch.id)
        assert ended.status == "cancelled"
        outcome = account.outcome(ended)
        assert len(outcome) == 100
        unexecuted = [row for row in outcome.values() if row.status is None]
        assert 0 < len(unexecuted) < 100
        assert {row.code for row in unexecuted} == {"batch_cancelled"}
        assert account.booked(batch.id)["lines_executed"] == 100 - len(unexecuted)


def test_a_batch_lasts_as_long_as_it_is_told_to(tmp_path: Path) -> None:
    options = LocalServerOptions(port=0, state_dir=tmp_path, seconds=1)
    with start(options) as server, Account(server, "key") as account:
        began = time.monotonic()
        batch = account.create(account.upload(request_lines(20)))
        seen = [account.until(batch.id, status).status for status in ("in_progress", "finalizing", "completed")]
        assert seen == ["in_progress", "finalizing", "completed"]
        assert 0.9 < time.monotonic() - began < 5


def test_a_server_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys;"
        "server = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True);"
        "print(server.pid, server.stdout.readline(), flush=True)"
    )
    command = [sys.executable, "-c", script, *COMMAND, "--state-dir", str(tmp_path), "--exit-with-parent"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    assert said[1:3] == ["listening", "on"]
    deadline = time.monotonic() + 10
    while _alive(int(said[0])):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_servers_do_not_share_their_state(tmp_path: Path) -> None:
    options = LocalServerOptions(port=0, state_dir=tmp_path)
    with start(options), pytest.raises(UsageError, match="Another server uses"), start(options):
        pass
    with start(options):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_it_listens_on_loopback_only(tmp_path: Path, host: str) -> None:
    options = LocalServerOptions(port=0, host=host, state_dir=tmp_path)
    with pytest.raises(UsageError, match="loopback addresses only"), start(options):
        pass


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with start(LocalServerOptions(port=0, state_dir=tmp_path / "a")) as server:
        port = server.root.rpartition(":")[2]
        assert main(["--port", port, "--state-dir", str(tmp_path / "b")]) == 2
    assert capsys.readouterr().err.startswith(f"Port {port} can't be used: Address already in use.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engine", "upstream"], "`--upstream-url"),
        (["--threads", "0"], "count from 1"),
        (["--faults", "/none.json"], "can't be read"),
        (["--upstream-key-file", "/none"], "can't be read"),
        (["--engine", "smollm2", "--model-path", "/none.gguf"], ""),
    ],
)
def test_wrong_options_are_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], words: str
) -> None:
    assert main(["--port", "0", "--state-dir", str(tmp_path), *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_books_remember_what_clients_delete(tmp_path: Path) -> None:
    with start(LocalServerOptions(port=0, state_dir=tmp_path)) as server, Account(server, "key") as account:
        batch = account.run(request_lines(5))
        for file_id in (batch.input_file_id, cast(str, batch.output_file_id)):
            account.client.files.delete(file_id)
        before = account.books()
        assert (before["batches_created"], before["lines_executed"]) == (1, 5)
        assert len(cast("list[object]", before["files"])) == 2
        assert [path.name for path in (tmp_path / "files").iterdir()] == []
    with start(LocalServerOptions(port=0, state_dir=tmp_path)) as server, Account(server, "key") as account:
        assert account.books() == before
        assert account.http.post("/books").status_code == 405


def test_health_is_answered_outside_the_api(tmp_path: Path) -> None:
    with start(LocalServerOptions(port=0, state_dir=tmp_path)) as server, Account(server, "key") as account:
        assert account.http.get("/health").json() == {"status": "ok", "models": ["simulated"], "ready": True}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
