"""What an engine is: it turns requests into answers, and knows nothing of batches, files or HTTP of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from batch_pipeline.wire.replies import Usage

Json = dict[str, object]


@dataclass(slots=True)
class Request:
    """One line to answer. `line` is its place in the input file, counted from 1."""

    custom_id: str
    url: str
    body: Json
    line: int = 0


@dataclass(slots=True)
class Answer:
    """What an endpoint said to one request: status, body as JSON, and the tokens of a success."""

    custom_id: str
    status: int
    body: bytes
    usage: Usage
    inputs: int = 0
    """Inputs that were embedded."""


class Engine(Protocol):
    """Answers requests. One engine serves all batches of a server, and its realtime endpoints."""

    @property
    def models(self) -> Sequence[str]:
        """Names for `/v1/models`."""
        ...

    @property
    def ready(self) -> bool:
        """Whether an answer could begin at once; a model may still be loading."""
        ...

    @property
    def chunk(self) -> int:
        """How many requests are best handed over at once."""
        ...

    def answer(self, chunks: AsyncIterator[Sequence[Request]]) -> AsyncIterator[Sequence[Answer]]:
        """Answers all that comes, in any order.

        An engine takes the next chunk only when it can work on it, so a batch is cancelled by ending `chunks`: what
        was taken is still answered. A request that can't be answered has an HTTP error as its answer; nothing is
        raised for it.
        """
        ...

    async def close(self) -> None:
        """Lets go of what it holds; may cut off what it is answering."""
        ...


async def answer_one(engine: Engine, request: Request) -> Answer:
    """One answer, for the realtime endpoints."""

    async def alone() -> AsyncIterator[Sequence[Request]]:
        yield [request]

    answers = [answer async for some in engine.answer(alone()) for answer in some]
    return answers[0]
