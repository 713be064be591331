"""The server as an ASGI application: its routes, its errors, and what begins and ends with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batch_pipeline.local_server.engines import make_engine
from batch_pipeline.local_server.envelope import ApiError, error_body, json_answer
from batch_pipeline.local_server.faults import Faults, read_faults
from batch_pipeline.local_server.ids import request_id
from batch_pipeline.local_server.lifecycle import Batches
from batch_pipeline.local_server.messages.engine import SpeaksMessages
from batch_pipeline.local_server.messages.envelope import as_message_error, speaks_messages
from batch_pipeline.local_server.messages.routes import MessageRoutes
from batch_pipeline.local_server.options import LocalServerOptions
from batch_pipeline.local_server.routes.batches import BatchRoutes
from batch_pipeline.local_server.routes.control import ControlRoutes
from batch_pipeline.local_server.routes.files import FileRoutes
from batch_pipeline.local_server.routes.guard import Guard
from batch_pipeline.local_server.routes.replies import ReplyRoutes
from batch_pipeline.local_server.store import Store
from batch_pipeline.local_server.webhooks import Webhooks

LAST_ANSWERS = 2.0
"""Seconds that answers in the making get when the server ends; it has 5 in all."""


def make_app(options: LocalServerOptions) -> Starlette:
    """The application, for one server: state is opened here and closed when its lifespan ends.

    Must be called, and run, on one thread: SQLite's connection stays with it.

    Raises:
        UsageError: The faults file can't be read.
    """
    faults = Faults()
    if options.faults:
        faults.add(read_faults(options.faults))
    engine = SpeaksMessages(make_engine(options))
    store = Store(options.state_dir)
    webhooks = Webhooks(options.webhook_url, options.webhook_secret)
    batches = Batches(store, engine, options.seconds, webhooks.tell)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        store.sweep()
        batches.resume()
        try:
            yield
        finally:
            await batches.close(LAST_ANSWERS)
            await webhooks.close()
            await engine.close()
            store.close()

    guard = Guard(faults)
    api = [
        *FileRoutes(store, faults).routes(guard),
        *BatchRoutes(store, batches, faults).routes(guard),
        *ReplyRoutes(engine, store).routes(guard),
        *MessageRoutes(store, batches, engine, faults).routes(guard),
    ]
    return Starlette(
        routes=[
            Mount("/v1", routes=api),
            Mount("/openai/v1", routes=api),
            *ControlRoutes(store, engine, faults).routes(),
        ],
        middleware=[Middleware(_RequestIds)],
        exception_handlers={ApiError: _refused, HTTPException: _not_found, Exception: _failed},
        lifespan=lifespan,
    )


async def _refused(request: Request, error: Exception) -> Response:
    return _in_its_words(request, error.body, error.status) if isinstance(error, ApiError) else json_answer(b"", 500)


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:
        words = f"Not allowed to {request.method} on {request.url.path}."
        return _in_its_words(request, error_body(words, code="method_not_supported"), status)
    words = f"Invalid URL ({request.method} {request.url.path})"
    return _in_its_words(request, error_body(words, code="unknown_url" if status == 404 else None), status)


async def _failed(request: Request, error: Exception) -> Response:
    return _in_its_words(request, error_body(f"The local server failed: {error!r}", kind="server_error"), 500)


def _in_its_words(request: Request, body: bytes, status: int) -> Response:
    return json_answer(as_message_error(status, body) if speaks_messages(request.url.path) else body, status)


class _RequestIds:
    """Every answer says which request it is the answer to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                name = "request-id" if speaks_messages(scope["path"]) else "x-request-id"
                MutableHeaders(scope=message)[name] = request_id()
            await send(message)

        await self._app(scope, receive, send_with_id)
