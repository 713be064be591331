"""A Redis of the tests' own, from Debian's package: it is installed where root may, and listens on loopback alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from filelock import FileLock

PASSWORD = "a-password-of-tests"
START_SECONDS = 15.0
INSTALL_SECONDS = 240.0


class NoRedis(Exception):
    """It can't be had here; says why."""


class RedisServer:
    """A running server that asks for `PASSWORD`, keeps nothing, and dies with the process that started it.

    Attributes:
        url: With the password in it, database 0.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
        self._process = process

    @classmethod
    def start(cls) -> Self:
        """Starts it at a free port.

        Raises:
            NoRedis: It is not installed and can't be, or does not start.
        """
        program = shutil.which("redis-server") or _installed()
        for _ in range(5):  # somebody else may take the port between the look and the start
            port = _free_port()
            given = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
            process = subprocess.Popen(
                [*_dying_with_us(), program, *given, "--requirepass", PASSWORD],
                cwd=tempfile.gettempdir(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if _answers(process, port):
                return cls(process, port)
            process.kill()
            process.wait()
        raise NoRedis(f"{program} did not start.")

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(START_SECONDS)


def _installed() -> str:
    """Installs Debian's package, without starting its service; where the program then is."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise NoRedis("redis-server is not installed: `apt-get install redis-server`, which tests do as root alone.")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    with FileLock(Path(tempfile.gettempdir()) / "redis-of-tests.lock", timeout=INSTALL_SECONDS):
        for call in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "redis-server"]):
            if (found := shutil.which("redis-server")) is not None:
                return found
            subprocess.run([apt, *call], env=quiet, capture_output=True, check=False, timeout=INSTALL_SECONDS)
    if (found := shutil.which("redis-server")) is None:
        raise NoRedis("redis-server is not installed, and apt-get could not install it.")
    return found


def _dying_with_us() -> list[str]:
    return ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as asked:
                asked.sendall(f"AUTH {PASSWORD}\r\nPING\r\n".encode())
                if asked.recv(64).startswith(b"+OK"):
                    return True
        except OSError:
            time.sleep(0.02)  # it tells nobody that it listens
    return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
