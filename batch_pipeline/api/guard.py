"""What a request must pass before anything looks at it: the bearer token, and the size of its body."""

from __future__ import annotations

import hashlib
import hmac

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batch_pipeline.api.problems import answer, problem

MOST_BYTES = 2_000_000
"""Of a request's body: some ten thousand record ids."""
OPEN_PATHS = ("/healthz", "/openapi.json", "/webhooks/openai")
"""What needs no token; a webhook brings its signature."""


class Guard:
    """ASGI middleware.

    Args:
        app: What is guarded.
        token: Whoever has it may ask; None: everybody, which is for loopback only.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = None if token is None else _digest(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that may not pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._may_ask(scope["path"], headers):
            found = problem(
                401, "no-token", "A bearer token is needed: `Authorization: Bearer …`, as set in API_TOKEN."
            )
            await answer(found, {"www-authenticate": "Bearer"})(scope, receive, send)
        elif _told_length(headers) > MOST_BYTES:
            await answer(problem(413, "too-large", f"A request may have {MOST_BYTES:,} bytes."))(scope, receive, send)
        else:
            await self._app(scope, _bounded(receive), send)

    def _may_ask(self, path: str, headers: Headers) -> bool:
        if self._token is None or path in OPEN_PATHS:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(_digest(given.strip()), self._token)


def _digest(token: str) -> bytes:
    """Of the same length, whatever is given: how long the token is takes no time to compare either."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _told_length(headers: Headers) -> int:
    told = headers.get("content-length", "0")
    return int(told) if told.isdecimal() else 0


def _bounded(receive: Receive) -> Receive:
    """A body without a length is counted as it comes."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MOST_BYTES:
            raise HTTPException(413)
        return message

    return counted
