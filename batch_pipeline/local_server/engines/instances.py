"""Values that satisfy a JSON schema, made to order.

The schemas are those that OpenAI's strict mode takes (https://developers.openai.com/api/docs/guides/structured-outputs:
objects, arrays, strings with `pattern` and `format`, numbers with bounds, enum, const, anyOf, `$ref` into `$defs`,
recursion) and what pydantic writes (oneOf, allOf of one, titles and defaults).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import cast

from batch_pipeline.local_server.engines.patterns import matching_text

Json = dict[str, object]

DEEP = 4
"""From this depth on, recursion takes the shortest way out."""


class Instances:
    """Values of one schema."""

    def __init__(self, schema: Json) -> None:
        self._root = schema
        self._makers: dict[str, Callable[[Json, random.Random, int], object]] = {
            "object": self._make_object,
            "array": self._make_array,
            "string": _make_string,
            "integer": _make_integer,
            "number": _make_number,
            "boolean": lambda _, draw, __: draw.random() < 0.5,
        }

    def make(self, number: int) -> object:
        """The value with this number; the same number gives the same value."""
        return self._value(self._root, random.Random(number), 0)  # noqa: S311 - an answer to order, not a secret

    def _value(self, schema: Json, draw: random.Random, depth: int) -> object:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if options := _list(schema.get("enum")):
            return draw.choice(options)
        if branches := _list(schema.get("anyOf")) or _list(schema.get("oneOf")):
            return self._value(self._branch([_object(b) for b in branches], draw, depth), draw, depth + 1)
        make = self._makers.get(self._type(schema, draw, depth))
        return make(schema, draw, depth) if make else None

    def _resolved(self, schema: Json) -> Json:
        """The schema with what `$ref` and `allOf` point to put into it."""
        while "$ref" in schema or "allOf" in schema:
            rest = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
            parts = [_object(part) for part in _list(schema.get("allOf"))]
            if "$ref" in schema:
                parts.append(self._pointed(str(schema["$ref"])))
            schema = {key: value for part in (*parts, rest) for key, value in part.items()}
        return schema

    def _pointed(self, pointer: str) -> Json:
        found: object = self._root
        for step in pointer.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = cast("list[object]", found)[int(name)] if isinstance(found, list) else _object(found)[name]
        return _object(found)

    def _branch(self, branches: list[Json], draw: random.Random, depth: int) -> Json:
        return draw.choice(branches) if depth < DEEP else min(branches, key=self._height)

    def _height(self, schema: Json, through: frozenset[str] = frozenset()) -> float:
        """How deep the smallest value of a schema is; infinite where it leads back to itself."""
        pointer = schema.get("$ref")
        if isinstance(pointer, str):
            if pointer in through:
                return math.inf
            through |= {pointer}
        schema = self._resolved(schema)
        if branches := _list(schema.get("anyOf")) or _list(schema.get("oneOf")):
            return min(self._height(_object(branch), through) for branch in branches)
        inner = [_object(part) for part in _required(schema)]
        if _whole(schema.get("minItems"), 0):
            inner.append(_object(schema.get("items")))
        return 1 + max((self._height(part, through) for part in inner), default=0)

    def _type(self, schema: Json, draw: random.Random, depth: int) -> str:
        named = schema.get("type")
        if isinstance(named, list):
            names = [str(name) for name in cast("list[object]", named)]
            return "null" if depth >= DEEP and "null" in names else draw.choice(names)
        if named is None:
            return "object" if "properties" in schema else "array" if "items" in schema else "string"
        return str(named)

    def _make_object(self, schema: Json, draw: random.Random, depth: int) -> Json:
        required = set(_list(schema.get("required")))
        made: Json = {}
        for name, part in _object(schema.get("properties")).items():
            if name in required or (depth < DEEP and draw.random() < 0.5):
                made[name] = self._value(_object(part), draw, depth + 1)
        return made

    def _make_array(self, schema: Json, draw: random.Random, depth: int) -> list[object]:
        least = _whole(schema.get("minItems"), 0)
        most = max(least, min(_whole(schema.get("maxItems"), least + 3), least + 3))
        length = least if depth >= DEEP else draw.randint(least, most)
        items = _object(schema.get("items"))
        if not schema.get("uniqueItems"):
            return [self._value(items, draw, depth + 1) for _ in range(length)]
        return self._make_unique(items, draw, depth, length)

    def _make_unique(self, items: Json, draw: random.Random, depth: int, length: int) -> list[object]:
        made: list[object] = []
        for _ in range(100 * length):  # there may be fewer values than places
            value = self._value(items, draw, depth + 1)
            if value not in made:
                made.append(value)
            if len(made) == length:
                break
        return made


def _required(schema: Json) -> list[object]:
    required = set(_list(schema.get("required")))
    return [part for name, part in _object(schema.get("properties")).items() if name in required]


def _make_string(schema: Json, draw: random.Random, _: int) -> str:
    least = _whole(schema.get("minLength"), 0)
    most = max(least, _whole(schema.get("maxLength"), max(least, 40)))
    if isinstance(pattern := schema.get("pattern"), str):
        return matching_text(pattern, draw, least, most)
    if make := _FORMATS.get(str(schema.get("format"))):
        return make(draw)
    text = f"simulated {draw.randrange(10_000)}"
    return text[:most] if len(text) > most else text.ljust(least, ".")


def _make_integer(schema: Json, draw: random.Random, _: int) -> int:
    step = max(1, math.ceil(_number(schema.get("multipleOf"), 1)))
    low, high = _bounds(schema, 1)
    first, last = math.ceil(low / step), math.floor(high / step)
    return draw.randint(first, max(first, last)) * step


def _make_number(schema: Json, draw: random.Random, _: int) -> float:
    if "multipleOf" in schema:
        step = _number(schema["multipleOf"], 1)
        low, high = _bounds(schema, step / 2)
        first, last = math.ceil(low / step), math.floor(high / step)
        return draw.randint(first, max(first, last)) * step
    low, high = _bounds(schema, 0)
    value = round(draw.uniform(low, high), 2)
    lower, upper = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    inside = low <= value <= high and value not in (lower, upper)
    return value if inside else (low + high) / 2


def _bounds(schema: Json, least_step: float) -> tuple[float, float]:
    """Lowest and highest value; a range of a hundred where one side is open."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    lows = [_number(low, -math.inf), _number(above, -math.inf) + least_step]
    highs = [_number(high, math.inf), _number(below, math.inf) - least_step]
    lowest, highest = max(lows), min(highs)
    if math.isinf(lowest):
        lowest = min(0.0, highest - 100)
    if math.isinf(highest):
        highest = lowest + 100
    return lowest, highest


def _date(draw: random.Random) -> str:
    return f"{draw.randint(2000, 2030)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


_FORMATS: dict[str, Callable[[random.Random], str]] = {
    "date-time": lambda draw: f"{_date(draw)}T{draw.randrange(24):02}:{draw.randrange(60):02}:00Z",
    "date": _date,
    "time": lambda draw: f"{draw.randrange(24):02}:{draw.randrange(60):02}:00Z",
    "duration": lambda draw: f"PT{draw.randint(1, 59)}M",
    "email": lambda draw: f"simulated{draw.randrange(1000)}@example.com",
    "hostname": lambda draw: f"host{draw.randrange(1000)}.example.com",
    "ipv4": lambda draw: f"192.0.2.{draw.randrange(256)}",
    "ipv6": lambda draw: f"2001:db8::{draw.randrange(65536):x}",
    "uuid": lambda draw: _uuid(f"{draw.getrandbits(128):032x}"),
    "uri": lambda draw: f"https://example.com/{draw.randrange(1000)}",
}


def _object(value: object) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _whole(value: object, default: int) -> int:
    return int(value) if isinstance(value, int | float) else default


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default
