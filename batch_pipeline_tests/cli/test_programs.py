from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from batch_pipeline.cli.programs import Programs, answers, free_port, is_free, programs
from batch_pipeline.errors import PipelineError


def serve(running: Programs, port: int) -> int:
    """A program that listens; its process id."""
    program = running.start("web", "http.server", str(port), "--bind", "127.0.0.1")
    running.wait_until(lambda: answers(port), 20, "The start of a server")
    return program.process.pid


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_was_started_has_ended_when_the_block_ends(tmp_path: Path) -> None:
    port = free_port()
    with programs(tmp_path, os.environ) as running:
        process = serve(running, port)
        assert not is_free(port)
    assert not is_alive(process)
    assert is_free(port)


def test_an_error_in_the_block_ends_everything_too(tmp_path: Path) -> None:
    started: list[int] = []

    def fail() -> None:
        with programs(tmp_path, os.environ) as running:
            started.append(serve(running, free_port()))
            raise ValueError("of ours")

    with pytest.raises(ValueError, match="of ours"):
        fail()
    assert not is_alive(started[0])


def test_sigterm_is_told_as_ctrl_c(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), programs(tmp_path, os.environ):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_program_that_ends_by_itself_is_named_with_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "brief.py").write_text("print('all is said')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with programs(tmp_path, environment) as running:
        running.start("brief", "brief").process.wait()
        with pytest.raises(PipelineError, match=r"(?s)brief has ended by itself.*all is said"):
            running.must_live()


def test_a_program_that_does_not_come_up_is_told(tmp_path: Path) -> None:
    with programs(tmp_path, os.environ) as running, pytest.raises(PipelineError, match="The start did not happen"):
        running.wait_until(lambda: False, 0.2, "The start")


def test_a_busy_port_is_said_in_a_sentence(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", "import sys; from batch_pipeline.cli import main; sys.exit(main(sys.argv[1:]))"]
    with programs(tmp_path / "logs", os.environ) as running:
        serve(running, port)
        environment = {**os.environ, "BATCH_PIPELINE_DATA_DIR": str(tmp_path / "data")}
        arguments = [*command, "dev", "--port", str(port), "--engine", "simulated"]
        ran = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == (
        f"Error: Port {port} of the Dagster UI is taken. End what uses it, or choose another with --port.\n"
    )
