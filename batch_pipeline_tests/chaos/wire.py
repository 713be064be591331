"""Points on the wire: what the client's transport is doing, told by its own trace.

`send.connected`: the connection is open, no byte is out. `send.bytes_out`: the whole POST is. `send.reply_unread`: the
reply has come, and nobody has looked at it. `upload.half`: the head is out, the file is not. `lookup.page_1`: a page of
the listing was read; pages are two batches short, so that there are several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2

from batch_pipeline.batches import points
from batch_pipeline.providers import http

_EVENTS = {
    ("POST", "/v1/files", "http11.send_request_headers.complete"): "upload.half",
    ("POST", "/v1/batches", "http11.send_request_headers.started"): "send.connected",
    ("POST", "/v1/batches", "http11.send_request_body.complete"): "send.bytes_out",
    ("POST", "/v1/batches", "http11.receive_response_headers.complete"): "send.reply_unread",
    ("GET", "/v1/batches", "http11.receive_response_body.complete"): "lookup.page_1",
}
_PATHS = {"/v1/messages/batches": "/v1/batches"}
"""Anthropic's are as OpenAI's."""


def watch(last: Callable[[], str]) -> None:
    """From now on this process comes to the points above; `last` tells where it was before."""
    http.PAGE = 2
    send = httpx2.Client.send

    def watched(self: httpx2.Client, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401 - handed on
        def trace(event: str, _: object) -> None:
            path = request.url.path
            point = _EVENTS.get((request.method, _PATHS.get(path, path), event))
            if point is not None and (point != "lookup.page_1" or last().startswith("lookup.")):
                points.reach(point)

        request.extensions["trace"] = trace
        return send(self, request, **options)

    httpx2.Client.send = watched
