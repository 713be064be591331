"""`/v1/chat/completions`, `/v1/responses`, `/v1/embeddings` and `/v1/models`: the engine, asked directly."""

from __future__ import annotations

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from batch_pipeline.local_server.engines import Engine, Request, answer_one
from batch_pipeline.local_server.envelope import ApiError, json_answer
from batch_pipeline.local_server.routes.body import json_body
from batch_pipeline.local_server.routes.guard import Guard
from batch_pipeline.local_server.store import Store


class ReplyRoutes:
    """Answers now, at the full price."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine = engine
        self._store = store

    def routes(self, guard: Guard) -> list[Route]:
        """The routes under `/v1`."""
        return [
            guard.route("POST", "/chat/completions", "chat.create", self.reply),
            guard.route("POST", "/responses", "responses.create", self.reply),
            guard.route("POST", "/embeddings", "embeddings.create", self.reply),
            guard.route("GET", "/models", "models.list", self.models),
            guard.route("GET", "/models/{model}", "models.get", self.model),
        ]

    async def reply(self, request: HttpRequest) -> Response:
        """One answer; streams are not offered."""
        body = await json_body(request)
        if body.get("stream"):
            raise ApiError(400, "Streaming is not supported by this server.", "stream", "unsupported_value")
        answer = await answer_one(self._engine, Request("realtime", request.url.path, body))
        usage = answer.usage
        self._store.book_realtime(usage.input_tokens, usage.cached_tokens, usage.output_tokens)
        return json_answer(answer.body, answer.status)

    async def models(self, _: HttpRequest) -> Response:
        """The engine's models. A batch may name any other: it is answered by these all the same."""
        return json_answer({"object": "list", "data": [_model(name) for name in self._engine.models]})

    async def model(self, request: HttpRequest) -> Response:
        """One model."""
        name = str(request.path_params["model"])
        if name not in self._engine.models:
            raise ApiError(404, f"The model '{name}' does not exist", "model", "model_not_found")
        return json_answer(_model(name))


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "local"}
