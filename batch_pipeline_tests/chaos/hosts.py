"""Hosts: each has a network and a name of its own, and reaches the servers over a bridge that they share.

All of it is in a network that the lane makes for itself, and is gone when the last process in it has ended.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ADDRESS = "10.203.0.1"
"""Where the servers are, for every host."""

_NEWNET, _NEWUTS = 0x40000000, 0x04000000
_libc = ctypes.CDLL(None, use_errno=True)


class NoHosts(Exception):
    """Networks can't be made here; says why."""


@contextmanager
def hosts(count: int) -> Generator[list[int]]:
    """From here on, this process is where the servers are; gives a process id by which each host is entered.

    Raises:
        NoHosts: This is not root on Linux, or a program is missing.
    """
    if os.geteuid() != 0:
        raise NoHosts("only root may make networks")
    for program in ("ip", "unshare", "nsenter", "setpriv"):
        if shutil.which(program) is None:
            raise NoHosts(f"`{program}` is not installed: Debian has it in iproute2 or util-linux")
    if _libc.unshare(_NEWNET):
        raise NoHosts(f"this system makes no networks: {os.strerror(ctypes.get_errno())}")
    with ExitStack() as stack:
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", "bridge", "type", "bridge")
        _run("ip", "addr", "add", f"{ADDRESS}/24", "dev", "bridge")
        _run("ip", "link", "set", "bridge", "up")
        yield [_host(number, stack) for number in range(1, count + 1)]


@contextmanager
def reached(root: str) -> Generator[str]:
    """The URL by which every host reaches a server of this machine's loopback interface."""
    port = root.rpartition(":")[2]
    relay = ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "batch_pipeline_tests.chaos.relay"]
    with subprocess.Popen([*relay, ADDRESS, port], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline().strip() != "listening":
                raise NoHosts("the server could not be reached from them")
            yield f"http://{ADDRESS}:{port}"
        finally:
            process.kill()


def enter(host: int) -> None:
    """This process is on that host from here on."""
    for name, kind in (("net", _NEWNET), ("uts", _NEWUTS)):
        with Path(f"/proc/{host}/ns/{name}").open("rb") as place:
            if _libc.setns(place.fileno(), kind):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _host(number: int, stack: ExitStack) -> int:
    name = f"host-{number}"
    # it says its name when it has its own, and then lives for as long as the one that made it
    lives = f"hostname {name} && ip link set lo up && echo {name} && exec cat"
    alone = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--net", "--uts", "--", "sh", "-c", lives]
    process = stack.enter_context(subprocess.Popen(alone, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    stack.callback(process.kill)
    assert process.stdout is not None
    if process.stdout.readline().strip() != name:
        raise NoHosts("a host could not be made")
    _run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(process.pid))
    _run("ip", "link", "set", name, "master", "bridge", "up")
    inside = ("nsenter", "-t", str(process.pid), "-n", "ip")
    _run(*inside, "addr", "add", f"10.203.0.{number + 1}/24", "dev", "eth0")
    _run(*inside, "link", "set", "eth0", "up")
    return process.pid


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoHosts(f"`{' '.join(argv)}` failed: {done.stderr.strip()}")
