"""`simulated`: answers that mean nothing, fit the JSON schema that is asked for, and are the same each time.

Which answer a request gets follows from a hash of its body. For each schema there are 4,096 answers, each made when it
is first drawn, so a row costs little more than reading and writing it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence

import orjson

from batch_pipeline.local_server.engines.base import Answer, Json, Request
from batch_pipeline.local_server.engines.instances import Instances
from batch_pipeline.local_server.engines.schemas import schema_asked
from batch_pipeline.local_server.replies import reply_body
from batch_pipeline.wire.replies import Reply, Usage

ANSWERS = 4096
SCHEMAS = 64
"""Schemas whose answers are kept."""

BYTES_PER_TOKEN = 4
CHUNK = 250
"""Requests at once: some 6 ms of work, and few enough to stay in the processor's cache."""


class Simulated:
    """The engine `simulated`."""

    models = ("simulated",)
    ready = True
    chunk = CHUNK

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, _Drawn] = OrderedDict()

    async def answer(self, chunks: AsyncIterator[Sequence[Request]]) -> AsyncIterator[Sequence[Answer]]:
        """One chunk after the other, in a thread."""
        async for chunk in chunks:
            yield await asyncio.to_thread(self._answer_all, chunk)

    async def close(self) -> None:
        """Holds nothing."""

    def _answer_all(self, requests: Sequence[Request]) -> list[Answer]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Answer:
        body = orjson.dumps(request.body, option=orjson.OPT_SORT_KEYS)
        key = hashlib.sha256(body).hexdigest()[:32]
        text, said = self._drawn(schema_asked(request)).text(int(key[:8], 16) % ANSWERS)
        usage = Usage(input_tokens=max(1, len(body) // BYTES_PER_TOKEN), output_tokens=said)
        model = f"{request.body.get('model')}-simulated"
        return Answer(request.custom_id, 200, reply_body(request.url, model, Reply(text, "end", usage), key), usage)

    def _drawn(self, schema: Json | None) -> _Drawn:
        key = orjson.dumps(schema)
        drawn = self._answers.get(key)
        if drawn is None:
            drawn = self._answers[key] = _Drawn(schema)
            while len(self._answers) > SCHEMAS:
                self._answers.popitem(last=False)
        return drawn


class _Drawn:
    """The answers to one schema, or to none, by number: text, and its tokens."""

    def __init__(self, schema: Json | None) -> None:
        self._instances = Instances(schema) if schema is not None else None
        self._made: dict[int, tuple[str, int]] = {}

    def text(self, number: int) -> tuple[str, int]:
        made = self._made.get(number)
        if made is None:
            text = self._make(number)
            made = self._made[number] = (text, max(1, len(text.encode()) // BYTES_PER_TOKEN))
        return made

    def _make(self, number: int) -> str:
        if self._instances is None:
            return f"A simulated answer, number {number}."
        return orjson.dumps(self._instances.make(number)).decode()
