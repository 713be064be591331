"""Open connections by the client's address, so that one can be cut in the middle of a request."""

from __future__ import annotations

import asyncio
from typing import cast

from starlette.types import Receive, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

Ends = tuple[str, int, str, int]
"""Client's address and port, and ours."""

_open: dict[Ends, asyncio.Transport] = {}


class Connection(H11Protocol):
    """One connection; h11 rather than httptools, which uvicorn brings only as an extra."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client has come."""
        _open[_ends(transport)] = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client or the server has gone."""
        _open.pop(_ends(self.transport), None)
        super().connection_lost(exc)


async def drop(scope: Scope, receive: Receive) -> None:
    """Cuts the connection of a request, and returns when it is cut."""
    client, server = cast("tuple[tuple[str, int], tuple[str, int]]", (scope["client"], scope["server"]))
    _open[*client, *server].abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _ends(transport: asyncio.Transport) -> Ends:
    client, server = (cast("tuple[str, int]", transport.get_extra_info(of)) for of in ("peername", "sockname"))
    return client[0], client[1], server[0], server[1]
