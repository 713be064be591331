"""`upstream`: an OpenAI-compatible realtime endpoint answers. What it says is passed on, and nothing is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import cast

import httpx2
import orjson

from batch_pipeline.local_server.embeddings import EMBEDDINGS, inputs_in
from batch_pipeline.local_server.engines.base import Answer, Json, Request
from batch_pipeline.local_server.envelope import error_body
from batch_pipeline.wire.replies import Usage, read_reply

TIMEOUT = httpx2.Timeout(600.0, connect=10.0)
"""Seconds; that of the official client for an answer."""


class Upstream:
    """The engine `upstream`.

    Args:
        url: Base URL, `/v1` included.
        key: Bearer key, if it wants one.
        concurrency: Requests in flight at once, over all batches.
    """

    models = ("upstream",)
    ready = True

    def __init__(self, url: str, key: str | None, concurrency: int) -> None:
        self.chunk = 1
        self._url = url.rstrip("/")
        self._concurrency = concurrency
        self._free = asyncio.Semaphore(concurrency)
        limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        # The environment's proxies are not for a server that the user named.
        self._client = httpx2.AsyncClient(headers=headers, timeout=TIMEOUT, limits=limits, trust_env=False)

    async def answer(self, chunks: AsyncIterator[Sequence[Request]]) -> AsyncIterator[Sequence[Answer]]:
        """Answers as they come; the next request is taken when a place is free."""
        pending: set[asyncio.Task[Answer]] = set()
        try:
            async for chunk in chunks:
                pending |= {asyncio.create_task(self._answer(request)) for request in chunk}
                if len(pending) >= self._concurrency:
                    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                    yield [task.result() for task in done]
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                yield [task.result() for task in done]
        finally:
            for task in pending:
                task.cancel()

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()

    async def _answer(self, request: Request) -> Answer:
        url = self._url + request.url.removeprefix("/v1")
        try:
            async with self._free:
                reply = await self._client.post(url, content=orjson.dumps(request.body))
        except httpx2.HTTPError as error:
            words = f"The upstream server at {self._url} did not answer: {type(error).__name__}."
            return Answer(request.custom_id, 502, error_body(words, kind="server_error"), Usage())
        return _passed_on(request, reply.status_code, reply.content)


def _passed_on(request: Request, status: int, content: bytes) -> Answer:
    try:
        body: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        words = "The upstream server answered with something that is not JSON."
        return Answer(
            request.custom_id, status if status >= 300 else 502, error_body(words, kind="server_error"), Usage()
        )
    said = cast(Json, body) if status < 300 and isinstance(body, dict) else {}
    usage = read_reply(request.url, said).usage
    inputs = inputs_in(request.body.get("input")) if said and request.url == EMBEDDINGS else 0
    # Written anew: an answer that is laid out over many lines must become one.
    return Answer(request.custom_id, status, orjson.dumps(body), usage, inputs)
