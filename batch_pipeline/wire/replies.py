"""What a model said, out of the body of a successful reply of each endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

import orjson

Json = dict[str, object]
Stop = Literal["end", "length", "refusal"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply; cached and cache-written ones are part of the input, reasoning ones part of the output."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What was said, why it stopped, and what it took. `text` of a refusal is the refusal's own."""

    text: str
    stop: Stop
    usage: Usage


def read_reply(endpoint: str, body: Json, *, cited: bool = False) -> Reply:
    """The reply in `body`, of a 2xx row of `endpoint` (`/v1/chat/completions`, `/v1/responses` or `/v1/messages`).

    Nothing is required of the body: a server that leaves parts out gets an empty text and no usage.

    Args:
        endpoint: The provider's path.
        body: The row's.
        cited: Documents' own citations were asked for, which come beside the text (`/v1/messages`): the reply's text
            is then the JSON `{"answer": …, "citations": [{"page": …, "quote": …}]}`, pages counted from 1.
    """
    if endpoint == "/v1/messages":
        return _read_message(body, cited=cited)
    return _read_response(body) if endpoint == "/v1/responses" else _read_chat(body)


def read_embeddings(body: Json) -> tuple[dict[int, object], Usage]:
    """The embeddings of a reply by the index of their input, as they came (base64 or a list), and what they took."""
    data = cast("list[object]", rows) if isinstance(rows := body.get("data"), list) else []
    vectors: dict[int, object] = {}
    for place, row in enumerate(data):
        index = _object(row).get("index", place)
        if isinstance(index, int):
            vectors[index] = _object(row).get("embedding")
    usage = _object(body.get("usage"))
    return vectors, Usage(input_tokens=_count(usage.get("prompt_tokens")))


def _read_chat(body: Json) -> Reply:
    choice = _object(next(_objects(body.get("choices")), None))
    message, usage = _object(choice.get("message")), _object(body.get("usage"))
    details = _object(usage.get("prompt_tokens_details"))
    tokens = Usage(
        input_tokens=_count(usage.get("prompt_tokens")),
        cached_tokens=_count(details.get("cached_tokens")),
        cache_write_tokens=_count(details.get("cache_write_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        reasoning_tokens=_count(_object(usage.get("completion_tokens_details")).get("reasoning_tokens")),
    )
    if refusal := _text(message.get("refusal")):
        return Reply(refusal, "refusal", tokens)
    text, reason = _text(message.get("content")), choice.get("finish_reason")
    if reason == "content_filter":
        return Reply(text or "stopped by the provider's content filter", "refusal", tokens)
    return Reply(text, "length" if reason == "length" else "end", tokens)


def _read_response(body: Json) -> Reply:
    usage = _object(body.get("usage"))
    details = _object(usage.get("input_tokens_details"))
    tokens = Usage(
        input_tokens=_count(usage.get("input_tokens")),
        cached_tokens=_count(details.get("cached_tokens")),
        cache_write_tokens=_count(details.get("cache_write_tokens")),
        output_tokens=_count(usage.get("output_tokens")),
        reasoning_tokens=_count(_object(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )
    parts = [
        part
        for item in _objects(body.get("output"))
        if item.get("type") == "message"
        for part in _objects(item.get("content"))
    ]
    if refusal := "".join(_text(part.get("refusal")) for part in parts):
        return Reply(refusal, "refusal", tokens)
    text = "".join(_text(part.get("text")) for part in parts if part.get("type") == "output_text")
    if body.get("status") != "incomplete":
        return Reply(text, "end", tokens)
    reason = _object(body.get("incomplete_details")).get("reason")
    return Reply(text, "refusal" if reason == "content_filter" else "length", tokens)


def _read_message(body: Json, *, cited: bool) -> Reply:
    blocks = [block for block in _objects(body.get("content")) if block.get("type") == "text"]
    text, tokens = "".join(_text(block.get("text")) for block in blocks), _message_usage(_object(body.get("usage")))
    match body.get("stop_reason"):
        case "refusal":
            why = _text(_object(body.get("stop_details")).get("explanation"))
            return Reply(text or why or "the model refused", "refusal", tokens)
        case "max_tokens" | "model_context_window_exceeded":
            return Reply(text, "length", tokens)
        case _:
            return Reply(_with_citations(text, blocks) if cited else text, "end", tokens)


def _message_usage(usage: Json) -> Usage:
    """Anthropic's `input_tokens` leave out what was read from the cache and written to it."""
    cached, written = (_count(usage.get(f"cache_{what}_input_tokens")) for what in ("read", "creation"))
    return Usage(
        input_tokens=_count(usage.get("input_tokens")) + cached + written,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=_count(usage.get("output_tokens")),
        reasoning_tokens=_count(_object(usage.get("output_tokens_details")).get("thinking_tokens")),
    )


def _with_citations(text: str, blocks: list[Json]) -> str:
    citations = [
        {"page": _count(citation.get("start_page_number")), "quote": _text(citation.get("cited_text"))}
        for block in blocks
        for citation in _objects(block.get("citations"))
        if citation.get("type") == "page_location"
    ]
    return orjson.dumps({"answer": text, "citations": citations}).decode()


def _objects(value: object) -> Iterator[Json]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return (cast(Json, item) for item in items if isinstance(item, dict))


def _object(value: object) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    """No reply has more than two thousand million tokens; a number that no column holds is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else 0
