"""A request of either endpoint as the chat that a text model is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

from batch_pipeline.local_server.engines.base import Json, Request
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
        ChatRefused: Something else than text is in it, or nothing.
    """
    body = request.body
    messages = tuple(_of_responses(body) if request.url == "/v1/responses" else _messages(body.get("messages")))
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


def _of_responses(body: Json) -> Iterator[tuple[str, str]]:
    if isinstance(instructions := body.get("instructions"), str):
        yield "system", instructions
    given = body.get("input")
    yield from [("user", _clean(given))] if isinstance(given, str) else _messages(given)


def _messages(given: object) -> Iterator[tuple[str, str]]:
    for message in cast("list[object]", given) if isinstance(given, list) else []:
        said = cast(Json, message) if isinstance(message, dict) else {}
        role = str(said.get("role") or "user")
        yield "system" if role == "developer" else role, _text(said.get("content"))


def _text(content: object) -> str:
    if isinstance(content, str):
        return _clean(content)
    parts = cast("list[Json]", content) if isinstance(content, list) else []
    for part in parts:
        if part.get("type") not in ("text", "input_text", "output_text"):
            raise ChatRefused(f"This model reads text only, not `{part.get('type')}`.", "messages")
    return _clean("\n".join(str(part.get("text") or "") for part in parts))


def _clean(text: str) -> str:
    """Without zero bytes, which would be the end of the text in C."""
    return text.replace("\0", " ")
