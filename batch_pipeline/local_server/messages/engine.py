"""Any engine, asked in Anthropic's words as well."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

import orjson

from batch_pipeline.local_server.engines.base import Answer, Engine, Json, Request
from batch_pipeline.local_server.envelope import error_body
from batch_pipeline.local_server.ids import row_ids
from batch_pipeline.local_server.messages.translation import MessageRefused, as_chat, citations_for, message_body
from batch_pipeline.wire.messages import MESSAGES
from batch_pipeline.wire.replies import Usage, read_reply

CHAT = "/v1/chat/completions"


class SpeaksMessages:
    """Asks an engine for a chat where a message is asked for, and gives its reply as a message.

    Args:
        engine: Who answers.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def models(self) -> Sequence[str]:
        """The engine's."""
        return self._engine.models

    @property
    def ready(self) -> bool:
        """Whether the engine is."""
        return self._engine.ready

    @property
    def chunk(self) -> int:
        """The engine's."""
        return self._engine.chunk

    async def answer(self, chunks: AsyncIterator[Sequence[Request]]) -> AsyncIterator[Sequence[Answer]]:
        """Answers in the words in which each request was made."""
        asked = _Asked()
        async with aclosing(asked.in_words_of_chats(chunks)) as translated:
            async for answers in self._engine.answer(translated):
                yield [*asked.take_refused(), *map(asked.back, answers)]
        if left := asked.take_refused():
            yield left

    async def close(self) -> None:
        """Closes the engine."""
        await self._engine.close()


class _Asked:
    """The message requests that an engine has not answered yet."""

    def __init__(self) -> None:
        self._params: dict[str, Json] = {}
        self._refused: list[Answer] = []

    async def in_words_of_chats(self, chunks: AsyncIterator[Sequence[Request]]) -> AsyncGenerator[Sequence[Request]]:
        async for chunk in chunks:
            if requests := [each for request in chunk if (each := self._translated(request))]:
                yield requests

    def _translated(self, request: Request) -> Request | None:
        if request.url != MESSAGES:
            return request
        try:
            chat = as_chat(request.body)
        except MessageRefused as error:
            self._refused.append(Answer(request.custom_id, 400, error_body(str(error)), Usage()))
            return None
        self._params[request.custom_id] = request.body
        return Request(request.custom_id, CHAT, chat, request.line)

    def take_refused(self) -> list[Answer]:
        refused, self._refused = self._refused, []
        return refused

    def back(self, answer: Answer) -> Answer:
        params = self._params.pop(answer.custom_id, None)
        if params is None or answer.status >= 300:
            return answer
        body = cast(Json, orjson.loads(answer.body))
        model, key = str(body.get("model") or params["model"]), next(row_ids(1))
        said = message_body(model, read_reply(CHAT, body), key, citations_for(params))
        return Answer(answer.custom_id, answer.status, said, answer.usage)
