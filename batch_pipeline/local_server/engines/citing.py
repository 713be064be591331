"""Quotes out of the documents of a request, where the schema of its answer asks for citations.

A schema asks for them by a property `citations`, an array of objects with `page` and `quote`. Each fifth quote is
wrong, so that whoever checks them has something to find.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import cast

from batch_pipeline.local_server.engines.base import Json
from batch_pipeline.local_server.engines.parts import Document

MOST_QUOTES = 3
SHORTEST, LONGEST = 6, 12
"""Words of a quote."""
WRONG = 5
"""Every so many quotes, one says what the page does not."""


def cited(answer: object, schema: Json, documents: Sequence[Document], key: str) -> object:
    """The answer with quotes out of the documents; as it is where it asks for none, or no page has a text.

    Args:
        answer: It satisfies `schema`, and still does.
        schema: What it was made of.
        documents: Those of the request.
        key: 32 hexadecimal digits that follow from the request: the same quotes for the same request.
    """
    pages = [
        (number, text)
        for document in documents
        for number, page in enumerate(document.pages, 1)
        if (text := page.split())
    ]
    wanted = _object(_object(schema.get("properties")).get("citations"))
    names = _object(_resolved(_object(wanted.get("items")), schema).get("properties"))
    given = _object(answer)
    if not pages or not {"page", "quote"} <= names.keys() or not isinstance(given.get("citations"), list):
        return answer
    items = cast("list[Json]", given["citations"])
    if names.keys() == {"page", "quote"} and not {"minItems", "maxItems"} & wanted.keys():
        empty: Json = {}
        items = [empty] * (1 + int(key[:8], 16) % MOST_QUOTES)
    return {**given, "citations": [{**item, **_quote(pages, f"{key} {at}")} for at, item in enumerate(items)]}


def _quote(pages: Sequence[tuple[int, list[str]]], key: str) -> Json:
    drawn = hashlib.sha256(key.encode()).digest()
    number, words = pages[int.from_bytes(drawn[:4]) % len(pages)]
    length = SHORTEST + drawn[4] % (LONGEST - SHORTEST + 1)
    start = int.from_bytes(drawn[5:9]) % max(1, len(words) - length + 1)
    quoted = words[start : start + length]
    if int.from_bytes(drawn[9:11]) % WRONG == 0:
        quoted = ["nowhere", *reversed(quoted)]
    return {"page": number, "quote": " ".join(quoted)}


def _resolved(schema: Json, root: Json) -> Json:
    pointer = schema.get("$ref")
    if not isinstance(pointer, str):
        return schema
    found: object = root
    for step in pointer.removeprefix("#").split("/")[1:]:
        found = _object(found).get(step)
    return _object(found)


def _object(value: object) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}
