"""Outside `/v1`: `/health`, `/books` and `/faults`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batch_pipeline.errors import UsageError
from batch_pipeline.local_server.books import books
from batch_pipeline.local_server.engines import Engine
from batch_pipeline.local_server.envelope import ApiError, json_answer
from batch_pipeline.local_server.faults import Fault, Faults, parse_faults
from batch_pipeline.local_server.store import Store


class ControlRoutes:
    """What the person who runs the server asks it, and orders."""

    def __init__(self, store: Store, engine: Engine, faults: Faults) -> None:
        self._store = store
        self._engine = engine
        self._faults = faults

    def routes(self) -> list[Route]:
        """The routes, without a prefix."""
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/books", self.books, methods=["GET"]),
            Route("/faults", self.shown, methods=["GET"]),
            Route("/faults", self.ordered, methods=["POST", "PUT"]),
            Route("/faults", self.cleared, methods=["DELETE"]),
            Route("/faults/{number:int}", self.removed, methods=["DELETE"]),
        ]

    async def health(self, _: Request) -> Response:
        """200 from when the server listens; `ready` when an answer could begin at once."""
        return json_answer({"status": "ok", "models": list(self._engine.models), "ready": self._engine.ready})

    async def books(self, _: Request) -> Response:
        """The books."""
        return json_answer(books(self._store))

    async def shown(self, _: Request) -> Response:
        """What is ordered, and how often each has struck."""
        return json_answer([ordered.shown() for ordered in self._faults.all()])

    async def ordered(self, request: Request) -> Response:
        """Orders more (POST), or these instead of all others (PUT)."""
        faults = _parsed(await request.body())
        if request.method == "PUT":
            self._faults.remove()
        return json_answer([ordered.shown() for ordered in self._faults.add(faults)])

    async def cleared(self, _: Request) -> Response:
        """Takes all away."""
        self._faults.remove()
        return json_answer([])

    async def removed(self, request: Request) -> Response:
        """Takes one away."""
        number = int(request.path_params["number"])
        if not self._faults.remove(number):
            raise ApiError(404, f"No fault has the id {number}.")
        return json_answer([ordered.shown() for ordered in self._faults.all()])


def _parsed(raw: bytes) -> list[Fault]:
    try:
        return parse_faults(raw)
    except UsageError as error:
        raise ApiError(400, str(error)) from error
