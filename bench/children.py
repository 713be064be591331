"""Processes that are measured from outside: the whole of each, from its start to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-c", "import sys; from batch_pipeline.cli import main; sys.exit(main(sys.argv[1:]))")


@dataclass(frozen=True)
class Measured:
    """What a process did and took: in all, and (`step_`) without its start and its imports."""

    done: Any
    seconds: float
    cpu: float
    megabytes: float
    step_seconds: float
    step_cpu: float


def step(environment: Mapping[str, str], module: str, *arguments: object) -> Measured:
    """Runs `python -m module arguments`, which tells on its last line what it did (`Clock.tell`)."""
    whole, out = run(environment, sys.executable, "-m", module, *arguments)
    told = json.loads(out.splitlines()[-1])
    return Measured(told["done"], *whole, told["seconds"], told["cpu"])


def run(environment: Mapping[str, str], *command: object) -> tuple[tuple[float, float, float], bytes]:
    """Seconds, CPU seconds and most megabytes of a process, and what it wrote.

    Raises:
        SystemExit: It failed.
    """
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=dict(environment), stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command} failed: {process.returncode}")
        out.seek(0)
        return (seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024), out.read()


@contextmanager
def local_server(folder: Path, *options: str) -> Generator[str]:
    """A local server in a process of its own, which is not counted; its URL."""
    command = [sys.executable, "-m", "batch_pipeline.local_server", "--port", "0", "--state-dir", str(folder)]
    whole = [*command, "--exit-with-parent", *options]
    with subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
        try:
            told = process.stdout.readline() if process.stdout else b""
            yield told.decode().split()[-1]
        finally:
            process.terminate()
            process.wait()
