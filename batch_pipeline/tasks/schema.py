"""An answer's pydantic model as a strict JSON schema, and as columns.

Strict schemas hold every answer to their shape at the provider (OpenAI, guide "Structured outputs": every property
required, no additional ones, `anyOf` but neither `allOf` nor `oneOf`, the keywords of `_KEYWORDS`, nothing beside a
`$ref`). What they can't say is refused here, at import, rather than by the provider, an hour later, line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast

from pydantic import BaseModel

from batch_pipeline.errors import InvalidTask

Schema = dict[str, object]

TYPE_NAMES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "null": "JSON"}
_FORMATS = {"date": "DATE", "date-time": "TIMESTAMPTZ"}
_KNOWN_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
_KEYWORDS = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"),
    *("description", "pattern", "format", "minItems", "maxItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_DROPPED = {"title", "default", "examples", "discriminator", "deprecated"}


def strict_schema(model: type[BaseModel]) -> Schema:
    """The model's strict JSON schema.

    Raises:
        InvalidTask: The model can't be expressed so; names the field and the reason.
    """
    _refuse_validators(model)
    schema = model.model_json_schema()
    definitions = cast("dict[str, Schema]", schema.get("$defs", {}))
    schema = {**_resolve(schema, definitions), **schema}  # a model within itself is a `$ref` at the top too
    schema.pop("$ref", None)
    if schema.get("type") != "object":
        raise InvalidTask(f"`{model.__name__}` is no object with named fields: wrap it in a model of one field.")
    return _strict(schema, model.__name__, definitions)


def columns(schema: Schema) -> dict[str, str]:
    """The answer's columns: name to DuckDB type, in the model's order."""
    definitions = cast("dict[str, Schema]", schema.get("$defs", {}))
    properties = cast("dict[str, Schema]", schema["properties"])
    return {name: _column_type(part, definitions, ()) for name, part in properties.items()}


def list_of_parts(fields: Mapping[str, str]) -> str:
    """The DuckDB type of a list of answers, each with the number of its part."""
    members = ", ".join(f'"{name}" {kind}' for name, kind in {"part": "INTEGER", **fields}.items())
    return f"STRUCT({members})[]"


def _refuse_validators(model: type[BaseModel]) -> None:
    own = dict.fromkeys(_validators_in(model.__pydantic_core_schema__))
    if own:
        raise InvalidTask(
            f"`{model.__name__}` has validators of its own (`{'`, `'.join(own)}`). A strict JSON schema can't express "
            "them, so the provider would not know of them: say it with types, Literal, ge, le, pattern, or check it "
            "in SQL on the task's table."
        )


def _validators_in(core: object) -> Iterator[str]:
    """Names of the functions that check a value, at any depth; pydantic's own ones are part of its types."""
    if isinstance(core, list | tuple):
        for part in cast("list[object]", core):
            yield from _validators_in(part)
    if not isinstance(core, dict):
        return
    parts = cast(Schema, core)
    if str(parts.get("type")).startswith("function-"):
        function = cast("Callable[..., object]", cast(Schema, parts["function"])["function"])
        if not str(getattr(function, "__module__", "")).startswith("pydantic."):
            yield getattr(function, "__name__", type(function).__name__)
    for name, part in parts.items():
        if name not in ("metadata", "serialization"):
            yield from _validators_in(part)


def _strict(part: Schema, where: str, definitions: Mapping[str, Schema]) -> Schema:
    kept = _alone({name: value for name, value in part.items() if name not in _DROPPED}, definitions)
    if "oneOf" in kept:  # pydantic's form of a discriminated union; at least one of disjoint kinds is just one
        kept["anyOf"] = kept.pop("oneOf")
    unknown = set(kept) - _KEYWORDS
    if unknown:
        raise InvalidTask(f"`{where}` uses `{sorted(unknown)[0]}`, which a strict JSON schema can't express.")
    _refuse_loose(kept, where)
    for name in ("properties", "$defs"):
        if name in kept:
            parts = cast("dict[str, Schema]", kept[name])
            kept[name] = {key: _strict(value, f"{where}.{key}", definitions) for key, value in parts.items()}
    if "anyOf" in kept:
        kept["anyOf"] = [_strict(choice, where, definitions) for choice in cast("list[Schema]", kept["anyOf"])]
    if "items" in kept:
        kept["items"] = _strict(cast(Schema, kept["items"]), f"{where}[]", definitions)
    if kept.get("type") == "object":
        names = list(cast("dict[str, object]", kept["properties"]))
        _refuse_names(names, where)
        kept |= {"additionalProperties": False, "required": names}
    return kept


def _alone(part: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """A `$ref` with nothing beside it: OpenAI refuses a description there, so what it refers to is put in its place.

    A model within itself would never end so; there the reference stays, and the description goes.
    """
    reference = part.get("$ref")
    if reference is None or len(part) == 1:
        return part
    if reference in _references(_resolve(part, definitions), definitions, set()):
        return {"$ref": reference}
    put = {**_resolve(part, definitions), **part}
    return {name: value for name, value in put.items() if name != "$ref" and name not in _DROPPED}


def _references(part: object, definitions: Mapping[str, Schema], seen: set[str]) -> set[str]:
    """Every `$ref` that is met in `part`, or on the way from there."""
    if isinstance(part, dict):
        parts = cast(Schema, part)
        reference = parts.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            _references(_resolve(parts, definitions), definitions, seen)
        for value in parts.values():
            _references(value, definitions, seen)
    if isinstance(part, list):
        for value in cast("list[object]", part):
            _references(value, definitions, seen)
    return seen


def _refuse_names(names: list[str], where: str) -> None:
    if odd := [name for name in names if '"' in name or name == "*"]:  # no JSON path of DuckDB's says these
        raise InvalidTask(f"`{where}` has a field `{odd[0]}`: a column's name has no quotation marks, and is not `*`.")
    lower = [name.lower() for name in names]
    if twice := [name for name in names if lower.count(name.lower()) > 1]:
        raise InvalidTask(f"`{where}` has fields `{'` and `'.join(twice)}`, which are one name for a table.")


def _refuse_loose(part: Schema, where: str) -> None:
    if not part.keys() & {"type", "anyOf", "$ref", "enum", "const"}:
        raise InvalidTask(f"`{where}` may be anything: give it a type, so that the answer has a column of one type.")
    if part.get("type") == "object" and not part.get("properties"):
        raise InvalidTask(f"`{where}` is an open dict: name its fields in a model; strict JSON schemas have no others.")
    if part.get("type") == "array" and "items" not in part:
        raise InvalidTask(f"`{where}` is a list of anything: give its items a type.")
    if (form := part.get("format")) is not None and form not in _KNOWN_FORMATS:
        raise InvalidTask(f"`{where}` has the format `{form}`, which a strict JSON schema does not know.")


def _resolve(part: Schema, definitions: Mapping[str, Schema]) -> Schema:
    reference = part.get("$ref")
    return definitions[reference.rsplit("/", 1)[-1]] if isinstance(reference, str) else part


def _column_type(part: Schema, definitions: Mapping[str, Schema], inside: tuple[str, ...]) -> str:
    reference = part.get("$ref")
    if isinstance(reference, str) and reference in inside:
        return "JSON"  # a model within itself has no end that a column type could name
    inside = (*inside, reference) if isinstance(reference, str) else inside
    part = _resolve(part, definitions)
    if "anyOf" in part:
        kinds = {_column_type(c, definitions, inside) for c in cast("list[Schema]", part["anyOf"]) if c != _NULL}
        return kinds.pop() if len(kinds) == 1 else "JSON"
    if "enum" in part or "const" in part:
        values = [value for value in cast("list[object]", part.get("enum", [part.get("const")])) if value is not None]
        texts = values and all(isinstance(value, str) for value in values)
        return "VARCHAR" if texts else _column_of(part.get("type"))
    if part.get("type") == "array":
        return f"{_column_type(cast(Schema, part['items']), definitions, inside)}[]"
    if part.get("type") == "object":
        fields = cast("dict[str, Schema]", part["properties"])
        inner = (f'"{name}" {_column_type(field, definitions, inside)}' for name, field in fields.items())
        return f"STRUCT({', '.join(inner)})"
    return _FORMATS.get(str(part.get("format"))) or _column_of(part.get("type"))


_NULL: Schema = {"type": "null"}


def _column_of(json_type: object) -> str:
    return TYPE_NAMES.get(str(json_type), "JSON")
