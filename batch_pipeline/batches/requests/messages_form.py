"""A request in the form of Anthropic's `/v1/messages`: its params, its content blocks, its schema, its line."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import cast

from batch_pipeline.tasks.content import Image, Part, Text
from batch_pipeline.tasks.snapshot import TaskSnapshot

Json = dict[str, object]

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
"""Of strings, that Anthropic's structured output holds an answer to."""


def message_params(snapshot: TaskSnapshot, content: object) -> Json:
    """The params, without the model and the limit; cited documents and a schema exclude each other at the provider."""
    params: Json = {"messages": [{"role": "user", "content": content}]}
    if snapshot.system:
        params["system"] = snapshot.system
    if snapshot.answer_schema is not None and not snapshot.citations:
        params["output_config"] = {"format": {"type": "json_schema", "schema": supported(snapshot.answer_schema)}}
    return params


def message_line(custom_id: bytes, params: bytes) -> bytes:
    """A request of a batch, as it goes into the body of the create."""
    return b'{"custom_id":"%b","params":%b}\n' % (custom_id, params)


def message_block(part: Part, *, cited: bool) -> Json:
    """A part as a content block; `cited`: the answer is to cite documents."""
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    source = {"type": "base64", "media_type": part.media_type, "data": b64encode(part.data).decode()}
    if isinstance(part, Image):
        return {"type": "image", "source": source}
    citations = {"citations": {"enabled": True}} if cited else {}
    return {"type": "document", "source": source, "title": part.name, **citations}


def supported(schema: Mapping[str, object]) -> Json:
    """The strict schema with what Anthropic can't hold an answer to put into words, in the description.

    As `anthropic.transform_schema` does it (2.12.0), which costs two seconds to import; a test compares the two.
    """
    left = dict(schema)
    made: Json = {}
    if "$defs" in left:
        made["$defs"] = _each(left.pop("$defs"))
    if "$ref" in left:
        return {**made, "$ref": left["$ref"]}
    kind = left.pop("type", None)
    made |= {name: left.pop(name) for name in ("enum", "const") if name in left}
    if "anyOf" in left:
        made["anyOf"] = [supported(choice) for choice in cast("list[Json]", left.pop("anyOf"))]
    elif not made.keys() & {"enum", "const"}:
        made["type"] = kind
    if "description" in left:
        made["description"] = left.pop("description")
    if "type" in made and kind in _OF_KIND:
        made |= _OF_KIND[str(kind)](left)
    if left:
        told = "{" + ", ".join(f"{name}: {value}" for name, value in left.items()) + "}"
        made["description"] = f"{made['description']}\n\n{told}" if "description" in made else told
    return made


def _object(left: Json) -> Json:
    left.pop("additionalProperties", None)
    return {
        "properties": _each(left.pop("properties")),
        "additionalProperties": False,
        "required": left.pop("required"),
    }


def _array(left: Json) -> Json:
    made: Json = {"items": supported(cast(Json, left.pop("items")))}
    if left.get("minItems") in (0, 1):
        made["minItems"] = left.pop("minItems")
    return made


def _string(left: Json) -> Json:
    return {"format": left.pop("format")} if left.get("format") in _FORMATS else {}


def _each(schemas: object) -> Json:
    return {name: supported(schema) for name, schema in cast("dict[str, Json]", schemas).items()}


_OF_KIND = {"object": _object, "array": _array, "string": _string}
