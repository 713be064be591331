from __future__ import annotations

import random
import re
from typing import Literal

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from batch_pipeline.local_server.engines.grammar import grammar_for
from batch_pipeline.local_server.engines.instances import Instances
from batch_pipeline.local_server.engines.patterns import matching_text

Json = dict[str, object]


@st.composite
def _numbers(draw: st.DrawFn) -> Json:
    low = draw(st.integers(-1000, 1000))
    high = low + draw(st.integers(2, 1000))
    kind = draw(st.sampled_from(["integer", "number"]))
    bounds: list[Json] = [
        {},
        {"minimum": low},
        {"maximum": high},
        {"minimum": low, "maximum": high},
        {"exclusiveMinimum": low, "exclusiveMaximum": high},
    ]
    multiple: Json = draw(st.sampled_from([{}, {"multipleOf": 1}, {"multipleOf": 2}]))
    chosen = draw(st.sampled_from(bounds))
    # two whole steps of 2 need not lie strictly between bounds that are 2 apart
    return {"type": kind, **chosen} | ({} if "exclusiveMinimum" in chosen else multiple)


@st.composite
def _strings(draw: st.DrawFn) -> Json:
    least = draw(st.integers(0, 60))
    lengths: Json = {"minLength": least, "maxLength": least + draw(st.integers(0, 20))}
    formats = ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]
    patterns = [r"^[a-z]{2,4}-\d{3}$", r"^(bug|feature)(/[A-Z]\w*)?$", r"^@[^@]+$", r"\d+", r"^v\d+\.\d+$"]
    kinds: list[Json] = [
        {"type": "string"},
        {"type": "string", **lengths},
        {"type": "string", "format": draw(st.sampled_from(formats))},
        {"type": "string", "pattern": draw(st.sampled_from(patterns))},
        {"type": "string", "enum": ["a", "b", "ü"]},
        {"const": draw(st.sampled_from([None, 1, "x", True]))},
        {"type": ["string", "null"]},
    ]
    return draw(st.sampled_from(kinds))


def _objects(parts: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    names = st.text("abcdefghij_ü", min_size=1, max_size=6)
    return st.dictionaries(names, parts, max_size=4).map(
        lambda properties: {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


@st.composite
def _arrays(draw: st.DrawFn, parts: st.SearchStrategy[Json]) -> Json:
    least = draw(st.integers(0, 3))
    bounds = draw(st.sampled_from([{}, {"minItems": least}, {"minItems": least, "maxItems": least + 2}]))
    return {"type": "array", "items": draw(parts), **bounds}


def _nested(parts: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    several = st.lists(parts, min_size=1, max_size=3)
    return st.one_of(_objects(parts), _arrays(parts), several.map(lambda branches: {"anyOf": branches}))


_OTHERS: list[Json] = [{"type": "boolean"}, {"type": "null"}]
_leaves = st.one_of(_numbers(), _strings(), st.sampled_from(_OTHERS))
_schemas = _objects(st.recursive(_leaves, _nested, max_leaves=10))


@given(_schemas, st.integers(0, 4095))
@settings(max_examples=150, deadline=None)
def test_a_simulated_answer_satisfies_any_strict_schema(schema: Json, number: int) -> None:
    value = Instances(schema).make(number)
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(value)
    assert value == Instances(schema).make(number)


class Person(BaseModel):
    name: str = Field(min_length=2, max_length=5, pattern="^[A-Z]")
    age: int = Field(ge=0, lt=150)


class Node(BaseModel):
    owner: Person | None
    tags: list[Literal["a", "b"]] = Field(min_length=1)
    scores: dict[str, float]
    children: list[Node]


@pytest.mark.parametrize("number", range(50))
def test_a_simulated_answer_is_the_model_that_pydantic_describes(number: int) -> None:
    Node.model_validate(Instances(Node.model_json_schema()).make(number))


def test_a_schema_that_needs_itself_through_a_branch_comes_to_an_end() -> None:
    node: Json = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}, "all": {"$ref": "#"}},
        "required": ["next"],
    }
    schema: Json = {"$ref": "#/$defs/node", "$defs": {"node": node}}
    for number in range(100):
        jsonschema_rs.validate(schema, Instances(schema).make(number))


@pytest.mark.parametrize(
    "pattern",
    [r"^\d{4}-\d{2}$", r"^(a|bc)+$", r"[^a]x?", r"^\w+@\w+\.(com|org)$", r"^[A-Z][a-z]*?$", r"^.{3}\s\S\D$", r"^a{2}$"],
)
def test_text_is_made_that_a_pattern_matches(pattern: str) -> None:
    for seed in range(30):
        assert re.search(pattern, matching_text(pattern, random.Random(seed)))


def test_a_grammar_ends_where_a_small_model_would_not() -> None:
    schema: Json = {
        "type": "object",
        "properties": {
            "why": {"type": "string"},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "many": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
            "kind": {"type": "string", "enum": ["a"]},
        },
    }
    grammar = grammar_for(schema, max_tokens=100)
    assert grammar.startswith("%llguidance {}\nstart: %json {")
    assert '"why":{"maxLength":100,"type":"string"}' in grammar
    assert '"share":{"multipleOf":0.01,"minimum":0,"maximum":1,"type":"number"}' in grammar
    assert '"maxItems":5' in grammar
    assert "uniqueItems" not in grammar
    assert '"kind":{"type":"string","enum":["a"]}' in grammar
    assert '"x-guidance":{"whitespace_flexible":false}' in grammar
