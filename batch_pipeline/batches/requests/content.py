"""The content of a request in the form of its endpoint, and the texts and parts whose tokens are counted."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import partial

import orjson

from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.requests.messages_form import message_block
from batch_pipeline.tasks.content import Content, Document, Image, Message, Messages, Part, Said, Text
from batch_pipeline.tasks.media.image_tokens import image_tokens
from batch_pipeline.tasks.media.images import fitted
from batch_pipeline.wire.messages import MESSAGES

Json = dict[str, object]

PAGE_PIXELS = (1_240, 1_754)
"""A page as a provider shows it to its model: A4 at 150 dots an inch. None says how it does; that it shows each page
beside its text is documented (OpenAI, guide "File inputs"; Anthropic, "PDF support")."""


def in_form_of(endpoint: str, content: Said, *, cited: bool = False) -> str | list[Mapping[str, object]]:
    """The content as `endpoint` takes it: text as it is, each part in the endpoint's own form.

    `cited`: documents are to be cited, where the endpoint does so itself (`/v1/messages`).
    """
    if isinstance(content, str):
        return content
    if endpoint == MESSAGES:
        form = partial(message_block, cited=cited)
    else:
        form = _response_part if endpoint == "/v1/responses" else _chat_part
    return [form(part) if isinstance(part, Text | Image | Document) else part for part in content]


def turns_in_form_of(endpoint: str, content: Messages, *, cited: bool = False) -> list[Json]:
    """The messages of a conversation as `endpoint` takes them, keys sorted: one turn is the same as its content."""
    return [{"content": in_form_of(endpoint, turn.content, cited=cited), "role": turn.role} for turn in content.turns]


def text_of(content: Content) -> str:
    """All text of the content, for counting tokens; a document's is that of its pages."""
    if isinstance(content, str):
        return content
    if isinstance(content, Messages):
        return "\n".join(f"{turn.role}: {text_of(turn.content)}" for turn in content.turns)
    return "\n".join(_text_of_part(part) for part in content)


def for_model(content: Content, model: str) -> Content:
    """The content with no image larger than `model` looks at."""
    if isinstance(content, Messages):
        return Messages(tuple(Message(turn.role, _for_model(turn.content, model)) for turn in content.turns))
    return _for_model(content, model)


def _for_model(content: Said, model: str) -> Said:
    if isinstance(content, str):
        return content
    return [fitted(part, model) if isinstance(part, Image) else part for part in content]


def tokens_of(content: Content, model: str, counter: TokenCounter) -> int:
    """Input tokens of the content: its text's, and what its images and pages cost `model`."""
    return counter.count(text_of(content)) + media_tokens(content, model)


def media_tokens(content: Content, model: str) -> int:
    """Input tokens of the content's images, and of the picture of each of its documents' pages."""
    if isinstance(content, Messages):
        return sum(media_tokens(turn.content, model) for turn in content.turns)
    return 0 if isinstance(content, str) else sum(_media_tokens(part, model) for part in content)


def _media_tokens(part: Part | Mapping[str, object], model: str) -> int:
    if isinstance(part, Image):
        return image_tokens(model, part.width, part.height, part.detail)
    return len(part.pages) * image_tokens(model, *PAGE_PIXELS, "high") if isinstance(part, Document) else 0


def _chat_part(part: Part) -> Json:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": _data_url(part), "detail": part.detail}}
    return {"type": "file", "file": {"filename": part.name, "file_data": _data_url(part)}}


def _response_part(part: Part) -> Json:
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, Image):
        return {"type": "input_image", "image_url": _data_url(part), "detail": part.detail}
    return {"type": "input_file", "filename": part.name, "file_data": _data_url(part)}


def _data_url(part: Image | Document) -> orjson.Fragment:
    """As JSON already: for a long text orjson takes eight times its memory, for signs that base64 has none of."""
    return orjson.Fragment(b'"data:%b;base64,%b"' % (part.media_type.encode(), b64encode(part.data)))


def _text_of_part(part: Part | Mapping[str, object]) -> str:
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Document):
        return "\n".join(part.pages)
    return str(part.get("text", "")) if isinstance(part, Mapping) else ""
