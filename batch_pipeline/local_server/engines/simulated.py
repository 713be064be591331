"""`simulated`: answers that mean nothing, fit the JSON schema that is asked for, and are the same each time.

Which answer a request gets follows from a hash of its body. For each schema there are 4,096 answers, each made when it
is first drawn, so a row costs little more than reading and writing it. Where the schema asks for citations, they are
quotes out of the request's documents. Embeddings are near each other where their texts share words.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import cast

import orjson

from batch_pipeline.local_server.embeddings import (
    EMBEDDINGS,
    Embedded,
    EmbeddingsAsked,
    answer_embeddings,
    check_tokens,
    inputs_in,
)
from batch_pipeline.local_server.engines.base import Answer, Json, Request
from batch_pipeline.local_server.engines.citing import cited
from batch_pipeline.local_server.engines.counting import token_counts
from batch_pipeline.local_server.engines.hashing import hashed_vectors
from batch_pipeline.local_server.engines.instances import Instances
from batch_pipeline.local_server.engines.parts import Document, Picture, messages_in
from batch_pipeline.local_server.engines.schemas import schema_asked
from batch_pipeline.local_server.envelope import ApiError
from batch_pipeline.local_server.replies import reply_body
from batch_pipeline.wire.replies import Reply, Usage

ANSWERS = 4096
SCHEMAS = 64
"""Schemas whose answers are kept."""

BYTES_PER_TOKEN = 4
CHUNK = 250
"""Requests, or inputs to embed, at once: some 6 ms of work, and few enough to stay in the processor's cache."""

SIZES: dict[str, tuple[int, int | None]] = {
    "text-embedding-3-small": (1536, 1536),
    "text-embedding-3-large": (3072, 3072),
    "text-embedding-ada-002": (1536, None),
    "smollm2-135m": (576, None),
}
"""How many numbers a model's embeddings have, and the most that may be asked for; None if they have that size only."""
SIZE = (256, 4096)
"""The same for models of other names."""


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
            for portion in _portions(chunk):
                yield await asyncio.to_thread(self._answer_all, portion)

    async def close(self) -> None:
        """Holds nothing."""

    def _answer_all(self, requests: Sequence[Request]) -> list[Answer]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Answer:
        if request.url == EMBEDDINGS:
            return answer_embeddings(request, f"{request.body.get('model')}-simulated", _embedded)
        attached: list[Picture | Document] = []
        if not _plain(request.body):
            try:
                attached = [part for _, parts in messages_in(request) for part in parts if not isinstance(part, str)]
            except ApiError as error:
                return Answer(request.custom_id, error.status, error.body, Usage())
        body = orjson.dumps(request.body, option=orjson.OPT_SORT_KEYS)
        key = hashlib.sha256(body).hexdigest()[:32]
        schema = schema_asked(request)
        text, said = self._drawn(schema).text(int(key[:8], 16) % ANSWERS)
        asked = len(body) // BYTES_PER_TOKEN
        if attached:
            asked += sum(map(_tokens_beyond_their_characters, attached))
            documents = [part for part in attached if isinstance(part, Document)]
            if documents and schema is not None:
                text = orjson.dumps(cited(orjson.loads(text), schema, documents, key)).decode()
                said = max(1, len(text.encode()) // BYTES_PER_TOKEN)
        usage = Usage(input_tokens=max(1, asked), output_tokens=said)
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


def _plain(body: Json) -> bool:
    """Whether no message has parts: nearly all requests, and nothing is to be looked at in them."""
    messages = body.get("messages") or body.get("input")
    for message in cast("list[object]", messages) if isinstance(messages, list) else ():
        if isinstance(message, dict) and isinstance(cast(Json, message).get("content"), list):
            return False
    return True


def _portions(chunk: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """Requests to answer at once. Embeddings are many times larger than what they are made of: few at a time."""
    if chunk[0].url != EMBEDDINGS:
        yield chunk
        return
    portion: list[Request] = []
    inputs = 0
    for request in chunk:
        portion.append(request)
        inputs += inputs_in(request.body.get("input"))
        if inputs >= CHUNK:
            yield portion
            portion, inputs = [], 0
    if portion:
        yield portion


def _tokens_beyond_their_characters(part: Picture | Document) -> int:
    if isinstance(part, Picture):
        return part.tokens - part.characters // BYTES_PER_TOKEN
    return sum(len(page.encode()) for page in part.pages) // BYTES_PER_TOKEN - part.characters // BYTES_PER_TOKEN


def _embedded(asked: EmbeddingsAsked) -> Embedded:
    tokens = check_tokens(token_counts(asked.inputs, asked.model))
    return Embedded(hashed_vectors(asked.inputs, asked.sized(*SIZES.get(asked.model, SIZE))), tokens)
