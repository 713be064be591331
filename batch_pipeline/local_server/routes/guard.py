"""Puts the faults that were ordered for a route around it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from batch_pipeline.local_server.connections import drop
from batch_pipeline.local_server.envelope import error_body, json_answer
from batch_pipeline.local_server.faults import (
    ContentCut,
    Faults,
    ListingEmpty,
    ReplyLate,
    ReplyLost,
    RequestLate,
    RequestLost,
    RouteFault,
    RouteName,
    StatusFault,
)
from batch_pipeline.local_server.messages.envelope import message_error, speaks_messages

Handler = Callable[[Request], Awaitable[Response]]

_WORDS = {
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("You do not have access to this project.", "invalid_request_error", None),
    404: ("Not found.", "invalid_request_error", None),
    405: ("Not allowed to DELETE on this resource.", "invalid_request_error", "method_not_supported"),
    429: ("Rate limit reached.", "requests", "rate_limit_exceeded"),
}
_SERVER_ERROR = ("The server had an error while processing your request. Sorry about that!", "server_error", None)


class Guard:
    """Makes routes that suffer what was ordered for them."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def route(self, method: str, path: str, name: RouteName, handler: Handler) -> Route:
        """The handler under its path, with the faults ordered for `name` around it."""

        async def guarded(request: Request) -> Response:
            faults = self._faults.at_route(name)
            return await _suffer(faults, request, handler, stream=name == "files.create")

        return Route(path, guarded, methods=[method])


async def _suffer(faults: list[RouteFault], request: Request, handler: Handler, *, stream: bool) -> Response:
    if faults and not stream:
        await request.body()  # all of it is here before anything is lost or late: the client may be gone by then
    for fault in faults:
        if isinstance(fault, RequestLate):
            await asyncio.sleep(fault.seconds)
        elif isinstance(fault, StatusFault):
            return _ordered(fault, request.url.path)
        elif isinstance(fault, RequestLost):
            return _Dropped()
    answer = await handler(request)
    for fault in faults:
        answer = await _afterwards(fault, answer)
    return answer


async def _afterwards(fault: RouteFault, answer: Response) -> Response:
    match fault:
        case ReplyLate():
            await asyncio.sleep(fault.seconds)
        case ReplyLost():
            return _Dropped()
        case ListingEmpty():
            return json_answer({"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False})
        case ContentCut() if isinstance(answer, FileResponse):
            return _cut(Path(answer.path), fault.share)
        case _:
            pass
    return answer


def _ordered(fault: StatusFault, path: str) -> Response:
    if isinstance(fault.body, str):
        return HTMLResponse(fault.body, fault.status, headers=fault.headers)
    if fault.body is not None:
        return json_answer(fault.body, fault.status, fault.headers)
    message, kind, code = _WORDS.get(fault.status, _SERVER_ERROR)
    if speaks_messages(path):
        return json_answer(
            message_error(fault.status, fault.message or message, fault.type), fault.status, fault.headers
        )
    body = error_body(fault.message or message, fault.param, fault.code or code, fault.type or kind)
    return json_answer(body, fault.status, fault.headers)


def _cut(path: Path, share: float) -> Response:
    """A download that ends early and says nothing of it: its Content-Length is that of what is sent."""
    with path.open("rb") as file:
        return Response(file.read(math.floor(path.stat().st_size * share)), media_type="application/octet-stream")


class _Dropped(Response):
    """No answer: the connection is cut."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await drop(scope, receive)
