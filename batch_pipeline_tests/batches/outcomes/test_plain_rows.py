"""The quick way through a row comes to the same as the long one."""

from __future__ import annotations

import copy
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.outcomes.judging import judge, validator
from batch_pipeline.batches.outcomes.plain_rows import Row, plain_row, row_of
from batch_pipeline.tasks.schema import strict_schema
from batch_pipeline.wire.lines import parse_output_line
from batch_pipeline_tests.batches.chain import Mood

CHAT = "/v1/chat/completions"
VALIDATE = validator(strict_schema(Mood))

LINE: dict[str, Any] = {
    "id": "batch_req_1",
    "custom_id": "a",
    "response": {
        "status_code": 200,
        "body": {
            "choices": [{"message": {"content": '{"label": "glad"}', "refusal": None}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
        },
    },
    "error": None,
}


def long_way(raw: bytes) -> Row | None:
    line = parse_output_line(raw)
    return line and row_of(line.custom_id, judge(line, CHAT, VALIDATE))


def test_a_plain_row_is_taken_apart() -> None:
    row = Row("a", "answered", 200, None, None, 9, 3, 2, 5, 1, '{"label": "glad"}')
    assert plain_row(orjson.dumps(LINE), VALIDATE) == long_way(orjson.dumps(LINE)) == row


def test_an_answer_that_does_not_fit_is_invalid() -> None:
    line = copy.deepcopy(LINE)
    line["response"]["body"]["choices"][0]["message"]["content"] = '{"label": "furious"}'
    row = plain_row(orjson.dumps(line), VALIDATE)
    assert row is not None
    assert row == long_way(orjson.dumps(line))
    assert (row.outcome, row.error_code) == ("invalid", "invalid_answer")


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(cast("dict[str | int, object]", value).items())
    elif isinstance(value, list):
        items = list(enumerate(cast("list[object]", value)))
    return [path, *(found for key, inner in items for found in paths(inner, (*path, key)))]


ODD = [200, 200.0, 2**31, "", "stop", "length", "content_filter", '{"label":"sad"}', "x", "\U0001f600"]
SCALARS = st.none() | st.booleans() | st.integers(-3, 2**53) | st.floats(-1e9, 1e9) | st.sampled_from(ODD)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
)


@given(path=st.sampled_from(paths(LINE)[1:]), value=JSON, change=st.sampled_from(["set", "remove", "wrap"]))
def test_whatever_is_changed_in_a_row_it_comes_to_the_same(
    path: tuple[str | int, ...], value: object, change: str
) -> None:
    line = copy.deepcopy(LINE)
    parent: Any = line
    for key in path[:-1]:
        parent = parent[key]
    if change == "remove":
        del parent[path[-1]]
    else:
        parent[path[-1]] = value if change == "set" else [value, parent[path[-1]]]
    raw = orjson.dumps(line)
    plain = plain_row(raw, VALIDATE)
    assert plain is None or plain == long_way(raw)


RAW = orjson.dumps(LINE)


@pytest.mark.parametrize("damaged", [RAW[:-9], b"", RAW.replace(b"glad", b"\xff"), b"[" + RAW + b"]"])
def test_a_damaged_line_is_not_plain(damaged: bytes) -> None:
    assert plain_row(damaged, VALIDATE) is None
