"""Starting and ending the server: in this process until a signal comes, or in a thread beside a test."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from batch_pipeline.api.app import make_app
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import PipelineError, UsageError

GRACE = 5
"""Whole seconds that open requests get when the server ends."""
BACKLOG = 2_048


@dataclass(frozen=True)
class ServeOptions:
    """Where a server listens, and what it does."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes any free one."""
    insecure: bool = False
    """No token is asked for; on loopback only."""
    works: bool = True
    """It sends, polls and collects too; else Dagster does."""


@dataclass(frozen=True)
class Serving:
    """A server that listens."""

    url: str


def run(pipeline: Pipeline, options: ServeOptions, announce: Callable[[Serving], None]) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        UsageError: There is no token, or the address can't be used.
    """
    token = token_for(pipeline, options)
    with _bound(options) as (listener, serving):
        asyncio.run(_server(pipeline, options, token, lambda: announce(serving)).serve([listener]))


@contextmanager
def start(pipeline: Pipeline, options: ServeOptions) -> Generator[Serving]:
    """A server in a thread of this process, for as long as the `with` block lasts.

    Raises:
        UsageError: As `run`.
    """
    token, listens = token_for(pipeline, options), threading.Event()
    with _bound(options) as (listener, serving):
        server = _server(pipeline, options, token, listens.set)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="serve", daemon=True)
        thread.start()
        while not listens.wait(0.1):
            if not thread.is_alive():
                raise PipelineError("The server ended before it listened.")
        try:
            yield serving
        finally:
            server.should_exit = True
            thread.join()


def token_for(pipeline: Pipeline, options: ServeOptions) -> str | None:
    """The token to ask for; None where none is to be.

    Raises:
        UsageError: There is none, and somebody else could reach the server; or none was wanted.
    """
    token = pipeline.settings.api_token
    if options.insecure:
        if not _is_loopback(options.host):
            raise UsageError(
                f"--insecure is for loopback addresses only, and {options.host} is none: set BATCH_PIPELINE_API_TOKEN."
            )
        return None
    if token is None:
        raise UsageError(
            "There is no token to ask for: set BATCH_PIPELINE_API_TOKEN, or serve with --insecure on this machine only."
        )
    return token.get_secret_value()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _bound(options: ServeOptions) -> Generator[tuple[socket.socket, Serving]]:
    address = "127.0.0.1" if options.host == "localhost" else options.host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio sets TCP_NODELAY only where it reads that this is TCP; without it each answer takes 40 ms
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, options.port))
        except OSError as error:
            raise UsageError(
                f"{options.host}:{options.port} can't be used: {error.strerror}. Choose another with --host or --port."
            ) from error
        host = f"[{options.host}]" if ":" in options.host else options.host
        yield listener, Serving(f"http://{host}:{listener.getsockname()[1]}")


def _server(pipeline: Pipeline, options: ServeOptions, token: str | None, announce: Callable[[], None]) -> _Server:
    config = uvicorn.Config(
        make_app(pipeline, token, works=options.works),
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE,
        ws="none",
    )
    return _Server(config, announce)


class _Server(uvicorn.Server):
    """Says when it listens, and doesn't raise the signal again that ended it: an ordered end is no failure."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()
