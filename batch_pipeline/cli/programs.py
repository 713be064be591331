"""Programs that `dev` and `demo` start, and end again, whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from batch_pipeline.errors import PipelineError

GRACE_SECONDS = 3.0
"""How long programs have to end by themselves; then they are ended."""
LAST_LINES = 15


@dataclass(frozen=True)
class Program:
    """A program that runs; what it says goes to its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def last_lines(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:])


@dataclass
class Programs:
    """The programs of one `dev` or `demo`; made by `programs`."""

    folder: Path
    environment: Mapping[str, str]
    started: list[Program] = field(default_factory=list[Program])

    def start(self, name: str, *arguments: str) -> Program:
        """Starts a Python module as a program, in a session of its own: Ctrl-C reaches us, and we end it."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        program = Program(name, process, log)
        self.started.append(program)
        return program

    def must_live(self) -> None:
        """Looks whether all of them still run.

        Raises:
            PipelineError: One has ended; its last lines are told.
        """
        for program in self.started:
            code = program.process.poll()
            if code is not None:
                raise PipelineError(
                    f"{program.name} has ended by itself (exit code {code}), so everything else is ended too. "
                    f"Its log is {program.log}, and ends so:\n{program.last_lines}"
                )

    def wait_until(self, seen: Callable[[], bool], seconds: float, what: str) -> None:
        """Waits until something is seen, while all programs run.

        Raises:
            PipelineError: One of them has ended, or it took too long.
        """
        deadline = time.monotonic() + seconds
        while not seen():
            self.must_live()
            if time.monotonic() > deadline:
                raise PipelineError(f"{what} did not happen within {seconds:.0f} s; the logs are in {self.folder}.")
            time.sleep(0.1)

    def end(self) -> None:
        """Ends all of them, with what they started: politely, then not."""
        for program in self.started:
            _signal(program, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for program in self.started:
            with suppress(subprocess.TimeoutExpired):
                program.process.wait(max(0.0, deadline - time.monotonic()))
            _signal(program, signal.SIGKILL)
            program.process.wait()


@contextmanager
def programs(folder: Path, environment: Mapping[str, str]) -> Generator[Programs]:
    """Programs that are ended with the block, by Ctrl-C and SIGTERM too."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    running = Programs(folder, environment)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield running
    finally:
        running.end()
        signal.signal(signal.SIGTERM, before)


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a program could listen on this port of loopback."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether somebody listens on this port of loopback."""
    with socket.socket() as caller:
        caller.settimeout(0.5)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _signal(program: Program, number: signal.Signals) -> None:
    """To the program's whole session; one that is through may have left some of it behind."""
    with suppress(ProcessLookupError):
        os.killpg(program.process.pid, number)
