"""Starting and ending a server: in this process until a signal comes, or in a thread beside a test."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from filelock import FileLock, Timeout

from batch_pipeline.errors import PipelineError, UsageError
from batch_pipeline.local_server.app import make_app
from batch_pipeline.local_server.connections import Connection
from batch_pipeline.local_server.options import LocalServerOptions

GRACE = 1
"""Whole seconds that open requests get when the server ends; batches get theirs after that."""

PARENT_SECONDS = 0.5
"""How often a server that ends with its parent looks whether it is still there."""

GARBAGE = 50_000
"""New objects from which on the collector of cycles looks at them: several times what a chunk of lines is made of."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that listens."""

    url: str
    """Its base URL for clients, `/v1` included."""

    @property
    def root(self) -> str:
        """Its URL without `/v1`, for `/health`, `/books` and `/faults`."""
        return self.url.removesuffix("/v1")


def run(
    options: LocalServerOptions,
    *,
    announce: Callable[[RunningServer], None] | None = None,
    exit_with_parent: bool = False,
) -> None:
    """Serves until SIGTERM or SIGINT, and returns within 5 s of it; what runs goes on at the next start.

    Args:
        options: What to serve.
        announce: Called once, when it listens.
        exit_with_parent: End, too, when the process that started this one has ended.

    Raises:
        UsageError: Not a loopback address, a port that is taken, or a state folder that another server uses.
    """
    with _listening(options) as (listener, server):
        asyncio.run(_serve(options, listener, lambda: announce(server) if announce else None, exit_with_parent))


@contextmanager
def start(options: LocalServerOptions) -> Generator[RunningServer]:
    """A server in a thread of this process, for as long as the `with` block lasts.

    Raises:
        UsageError: As `run`.
    """
    with _listening(options) as (listener, server):
        thread = _ServerThread(options, listener)
        thread.start()
        try:
            thread.wait_until_it_listens()
            yield server
        finally:
            thread.end()


@contextmanager
def _listening(options: LocalServerOptions) -> Generator[tuple[socket.socket, RunningServer]]:
    options.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(options.state_dir / "lock", timeout=0, mode=0o600, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"Another server uses {options.state_dir}. Stop it, or choose another `--state-dir`."
        ) from None
    try:
        with _bound(options.host, options.port) as listener:
            host = f"[{options.host}]" if ":" in options.host else options.host
            yield listener, RunningServer(f"http://{host}:{listener.getsockname()[1]}/v1")
    finally:
        lock.release()


def _bound(host: str, port: int) -> socket.socket:
    """A socket on a loopback address: whoever reaches this server can read every prompt and answer in it."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(f"The local server listens on loopback addresses only, such as 127.0.0.1; not on `{host}`.")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio sets TCP_NODELAY only where it reads that this is TCP; without it each answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise UsageError(f"Port {port} can't be used: {error.strerror}. Choose another with `--port`.") from error
    return listener


class _Server(uvicorn.Server):
    """Says when it listens, and doesn't raise the signal again that ended it: an ordered end is no failure."""

    def __init__(self, config: uvicorn.Config, listens: Callable[[], None]) -> None:
        super().__init__(config)
        self._listens = listens

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listens()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def _server(options: LocalServerOptions, listens: Callable[[], None]) -> _Server:
    config = uvicorn.Config(
        make_app(options),
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    return _Server(config, listens)


async def _serve(
    options: LocalServerOptions, listener: socket.socket, listens: Callable[[], None], exit_with_parent: bool
) -> None:
    server = _server(options, listens)
    # What is imported stays for good, and lines of a batch make no cycles: the collector took half of a batch's time.
    gc.freeze()
    gc.set_threshold(GARBAGE, 10, 10)
    watch = asyncio.create_task(_end_with_parent(server)) if exit_with_parent else None
    await server.serve([listener])
    if watch:
        watch.cancel()


async def _end_with_parent(server: uvicorn.Server) -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(PARENT_SECONDS)
    server.should_exit = True


class _ServerThread(threading.Thread):
    def __init__(self, options: LocalServerOptions, listener: socket.socket) -> None:
        super().__init__(name="local-server", daemon=True)
        self._options = options
        self._listener = listener
        self._server: _Server | None = None
        self._began = threading.Event()
        self._error: BaseException | None = None
        self._listens = False

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that waits for it
            self._error = error
        finally:
            self._began.set()

    async def _serve(self) -> None:
        self._server = _server(self._options, self._it_listens)
        await self._server.serve([self._listener])

    def _it_listens(self) -> None:
        self._listens = True
        self._began.set()

    def wait_until_it_listens(self) -> None:
        self._began.wait()
        if self._error:
            raise self._error
        if not self._listens:
            raise PipelineError("The local server ended before it listened.")

    def end(self) -> None:
        if self._server:
            self._server.should_exit = True
        self.join()
