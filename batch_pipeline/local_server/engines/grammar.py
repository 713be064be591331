"""A JSON schema as the grammar that llama.cpp holds an answer to, through llguidance.

The grammar allows less than the schema does: no white space, and ends where a small model would go on for ever (the
digits of a number, the text of a string, the items of an array). What it allows always satisfies the schema.
"""

from __future__ import annotations

from typing import cast

import orjson

from batch_pipeline.local_server.engines.base import Json

CHARACTERS_PER_TOKEN = 2
LONGEST_STRING = 200
MOST_ITEMS = 5
LARGEST = 1_000_000
"""Where a number without bounds ends."""

_PLAIN = ("enum", "const", "pattern", "format", "$ref")


def grammar_for(schema: Json, max_tokens: int) -> str:
    """The grammar for an answer of at most `max_tokens` tokens."""
    longest = max(8, min(LONGEST_STRING, max_tokens * CHARACTERS_PER_TOKEN // (_strings(schema) + 1)))
    held = cast(Json, _held(schema, longest)) | {"x-guidance": {"whitespace_flexible": False}}
    return "%llguidance {}\nstart: %json " + orjson.dumps(held).decode()


def _strings(schema: object) -> int:
    """How many strings of any length the schema has."""
    if isinstance(schema, list):
        return sum(_strings(part) for part in cast("list[object]", schema))
    if not isinstance(schema, dict):
        return 0
    parts = cast(Json, schema)
    free = parts.get("type") == "string" and not any(key in parts for key in (*_PLAIN, "maxLength"))
    return free + sum(_strings(part) for part in parts.values())


def _held(schema: object, longest: int) -> object:
    if isinstance(schema, list):
        return [_held(part, longest) for part in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    parts = cast(Json, schema)
    # llguidance does not know `uniqueItems`; values of `enum`, `const` and `default` are not schemas.
    values = {"enum", "const", "default"}
    held = {key: part if key in values else _held(part, longest) for key, part in parts.items() if key != "uniqueItems"}
    return held if any(key in parts for key in _PLAIN) else _ended(held, longest)


def _ended(schema: Json, longest: int) -> Json:
    """The schema of one value, with ends where it has none; a property that is called `type` is no schema's type."""
    match schema.get("type"):
        case "string":
            least = schema.get("minLength")
            return {"maxLength": max(longest, least if isinstance(least, int) else 0)} | schema
        case "array":
            least = schema.get("minItems")
            return {"maxItems": max(MOST_ITEMS, least if isinstance(least, int) else 0)} | schema
        case "integer":
            return _bounded(schema)
        case "number":
            return {"multipleOf": 0.01} | _bounded(schema)
        case _:
            return schema


def _bounded(schema: Json) -> Json:
    lowest = {} if "exclusiveMinimum" in schema else {"minimum": -LARGEST}
    highest = {} if "exclusiveMaximum" in schema else {"maximum": LARGEST}
    return lowest | highest | schema
