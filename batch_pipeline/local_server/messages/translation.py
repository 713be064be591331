"""A message request as the chat that engines are asked, and their reply as a message."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import cast

import orjson

from batch_pipeline.wire.replies import Reply

Json = dict[str, object]

QUOTED_WORDS = 8
"""Of a page, that a simulated citation quotes: its first ones."""

_STOPS = {"end": "end_turn", "length": "max_tokens", "refusal": "refusal"}


class MessageRefused(Exception):
    """Something in a request's `params` that can't be: its row is errored."""


def as_chat(params: Json) -> Json:
    """The body for `/v1/chat/completions` that asks the same.

    Raises:
        MessageRefused: A field is missing, or is not offered here or in a batch.
    """
    _check(params)
    body: Json = {
        "model": params["model"],
        "messages": [*_system(params.get("system")), *map(_message, _objects(params.get("messages")))],
        "max_completion_tokens": params["max_tokens"],
    }
    for name in ("temperature", "top_p"):
        if name in params:
            body[name] = params[name]
    if schema := _schema(params):
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        }
    return body


def message_body(model: str, reply: Reply, key: str, citations: Sequence[Json] = ()) -> bytes:
    """The message that says `reply`, as JSON.

    Args:
        model: What it names as the model.
        reply: What was said.
        key: What its id is made of.
        citations: Of its one block of text.
    """
    usage, refused = reply.usage, reply.stop == "refusal"
    text: Json = {"type": "text", "text": reply.text, "citations": list(citations) or None}
    return orjson.dumps(
        {
            "id": f"msg_{key}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [] if refused else [text],
            "stop_reason": _STOPS[reply.stop],
            "stop_sequence": None,
            "stop_details": {"type": "refusal", "category": None, "explanation": reply.text} if refused else None,
            "usage": {
                "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
                "cache_creation_input_tokens": usage.cache_write_tokens,
                "cache_read_input_tokens": usage.cached_tokens,
                "output_tokens": usage.output_tokens,
                "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
                "service_tier": "batch",
            },
        }
    )


def citations_for(params: Json) -> list[Json]:
    """For each document that may be cited, its first words on one of its pages; the same ones each time."""
    return [
        citation
        for index, document in enumerate(_documents(params))
        if _cited(document) and (citation := _citation(index, document))
    ]


def _check(params: Json) -> None:
    for name, kind in (("model", str), ("max_tokens", int), ("messages", list)):
        if not isinstance(params.get(name), kind):
            raise MessageRefused(f"{name}: Field required")
    if cast(int, params["max_tokens"]) < 1:
        raise MessageRefused("max_tokens: Input should be greater than or equal to 1")
    if not params["messages"]:
        raise MessageRefused("messages: at least one message is required")
    if params.get("stream"):
        raise MessageRefused("stream: streaming is not offered here")
    if _schema(params) and any(map(_cited, _documents(params))):
        raise MessageRefused("citations: can't be enabled together with output_config.format")


def _schema(params: Json) -> Json:
    form = _object(_object(params.get("output_config")).get("format"))
    return _object(form.get("schema")) if form.get("type") == "json_schema" else {}


def _system(system: object) -> list[Json]:
    text = system if isinstance(system, str) else "\n".join(str(block.get("text")) for block in _objects(system))
    return [{"role": "system", "content": text}] if text else []


def _message(message: Json) -> Json:
    content = message.get("content")
    if isinstance(content, str):
        return {"role": message.get("role"), "content": content}
    return {"role": message.get("role"), "content": [_part(block) for block in _objects(content)]}


def _part(block: Json) -> Json:
    source = _object(block.get("source"))
    match block.get("type"), source.get("type"):
        case "text", _:
            return {"type": "text", "text": block.get("text")}
        case "image", "base64":
            return {"type": "image_url", "image_url": {"url": _data_url(source)}}
        case "image", "url":
            return {"type": "image_url", "image_url": {"url": source.get("url")}}
        case "document", "base64":
            name = block.get("title") or "document.pdf"
            return {"type": "file", "file": {"filename": name, "file_data": _data_url(source)}}
        case "document", "text":
            return {"type": "text", "text": source.get("data")}
        case kind, given:
            raise MessageRefused(f"messages: a block of type {kind!r} with a source of type {given!r} is not offered")


def _data_url(source: Json) -> str:
    return f"data:{source.get('media_type')};base64,{source.get('data')}"


def _documents(params: Json) -> Iterator[Json]:
    for message in _objects(params.get("messages")):
        yield from (block for block in _objects(message.get("content")) if block.get("type") == "document")


def _cited(document: Json) -> bool:
    return _object(document.get("citations")).get("enabled") is True


def _citation(index: int, document: Json) -> Json | None:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    source = _object(document.get("source"))
    if source.get("media_type") != "application/pdf":
        return None
    data = b64decode(str(source.get("data")))
    try:
        pages = [page.extract_text() for page in PdfReader(BytesIO(data)).pages]
    except (PyPdfError, ValueError):
        return None
    number = hashlib.sha256(data).digest()[0] % max(1, len(pages))
    words = pages[number].split()[:QUOTED_WORDS] if pages else []
    if not words:
        return None
    return {
        "type": "page_location",
        "cited_text": " ".join(words),
        "document_index": index,
        "document_title": document.get("title"),
        "start_page_number": number + 1,
        "end_page_number": number + 2,
        "file_id": None,
    }


def _objects(value: object) -> Iterator[Json]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return (cast(Json, item) for item in items if isinstance(item, dict))


def _object(value: object) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}
