"""A request of either endpoint as the chat that a text model is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from batch_pipeline.local_server.engines.base import Json, Request
from batch_pipeline.local_server.engines.parts import Document, Part, Picture, messages_in
from batch_pipeline.local_server.engines.schemas import schema_asked

DEFAULT_TOKENS = 256
"""Of an answer whose request sets no limit: a small model seldom finds an end by itself."""

GAP = "\n[…]\n"


class ChatRefused(Exception):
    """A request that can't be put to the model; `param` and `code` are those of the error that it gets."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


@dataclass(frozen=True, slots=True)
class Chat:
    """What the model is given."""

    messages: tuple[tuple[str, str], ...]
    """Role and text."""
    max_tokens: int
    temperature: float
    schema: Json | None

    @property
    def length(self) -> int:
        """Characters of all messages."""
        return sum(len(text) for _, text in self.messages)

    def cut_to(self, length: int) -> Chat:
        """The chat with the middle of its longest text left out, so that it has `length` characters."""
        if self.length <= length:
            return self
        longest = max(range(len(self.messages)), key=lambda at: len(self.messages[at][1]))
        role, text = self.messages[longest]
        half = max(0, len(text) - len(GAP) - (self.length - length)) // 2
        shorter = (role, text[:half] + GAP + text[len(text) - half :])
        return replace(self, messages=(*self.messages[:longest], shorter, *self.messages[longest + 1 :]))

    def body(self, grammar: str | None) -> Json:
        """As llama.cpp's server takes it."""
        body: Json = {
            "messages": [{"role": role, "content": text} for role, text in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "cache_prompt": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,
        }
        return body | {"grammar": grammar} if grammar else body


def chat_asked(request: Request, most_tokens: int) -> Chat:
    """The chat that a request asks for.

    Raises:
        ChatRefused: There is no text in it.
        ApiError: A part is none that the endpoint takes, or holds something else than it says.
    """
    body = request.body
    messages = tuple(("system" if role == "developer" else role, _text(parts)) for role, parts in messages_in(request))
    if not any(text for _, text in messages):
        raise ChatRefused("Messages parameter is required.", "messages")
    limits = (body.get(name) for name in ("max_output_tokens", "max_completion_tokens", "max_tokens"))
    limit = next((value for value in limits if isinstance(value, int) and value > 0), DEFAULT_TOKENS)
    temperature = body.get("temperature")
    return Chat(
        messages=messages,
        max_tokens=min(limit, most_tokens),
        temperature=float(temperature) if isinstance(temperature, int | float) else 0.0,
        schema=schema_asked(request),
    )


def _text(parts: Sequence[Part]) -> str:
    return _clean("\n".join(map(_words, parts)))


def _words(part: Part) -> str:
    """What a model that can't see is told of a part: that there is an image, and what the pages of a PDF say."""
    if isinstance(part, Picture):
        return "[image]"
    if isinstance(part, Document):
        pages = (f"[page {number}]\n{text}" for number, text in enumerate(part.pages, 1))
        return "\n".join((f"[{part.name}]", *pages))
    return part


def _clean(text: str) -> str:
    """Without zero bytes, which would be the end of the text in C."""
    return text.replace("\0", " ")
