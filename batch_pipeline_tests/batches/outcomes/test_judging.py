"""Each row has exactly one outcome."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.outcomes.judging import GIVEN_UP, GOES_AGAIN, ON_REQUEST, Outcome, Result, judge, validator
from batch_pipeline.tasks.schema import strict_schema
from batch_pipeline.wire.lines import parse_output_line
from batch_pipeline_tests.batches.chain import Mood

CHAT = "/v1/chat/completions"
VALIDATE = validator(strict_schema(Mood))


def judged(line: dict[str, object]) -> Result:
    parsed = parse_output_line(orjson.dumps({"custom_id": "a", **line}))
    assert parsed is not None
    return judge(parsed, CHAT, VALIDATE)


def answered(content: object, finish_reason: str = "stop", **message: object) -> dict[str, object]:
    choice = {"message": {"content": content, **message}, "finish_reason": finish_reason}
    return {"response": {"status_code": 200, "body": {"choices": [choice]}}, "error": None}


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (answered('{"label": "glad"}'), "answered"),
        (answered('{"label": "furious"}'), "invalid"),
        (answered('{"label": "glad", "more": 1}'), "invalid"),
        (answered("It is glad."), "invalid"),
        (answered(None), "invalid"),
        (answered('{"label": "gl', "length"), "truncated"),
        (answered(None, refusal="I can't."), "refused"),
        (answered("", "content_filter"), "refused"),
        ({"response": None, "error": {"code": "batch_expired", "message": "…"}}, "expired"),
        ({"response": None, "error": {"code": "batch_cancelled", "message": "…"}}, "cancelled"),
        ({"response": None, "error": {"code": "server_error", "message": "…"}}, "retryable"),
        ({"response": None, "error": None}, "retryable"),
        *(({"response": {"status_code": s, "body": {}}}, "retryable") for s in (408, 409, 429, 500, 503, 529)),
        *(({"response": {"status_code": s, "body": {}}}, "failed") for s in (400, 401, 403, 404, 413, 422)),
    ],
)
def test_a_row_comes_to(line: dict[str, object], outcome: Outcome) -> None:
    assert judged(line).outcome == outcome


def test_an_error_keeps_the_providers_code_and_words() -> None:
    body = {"error": {"code": "context_length_exceeded", "message": "too long", "type": "invalid_request_error"}}
    result = judged({"response": {"status_code": 400, "body": body}, "error": None})
    assert (result.http_status, result.error_code, result.error_message) == (400, "context_length_exceeded", "too long")


def test_an_invalid_answer_says_where_it_is_wrong() -> None:
    assert judged(answered('{"label": "furious"}')).error_message == 'label: "furious" is not one of "glad" or "sad"'


def test_a_text_task_takes_any_text_but_none() -> None:
    validate = validator(None)
    assert validate("anything") is None
    assert validate("  ") == "the answer is empty"


def test_the_sets_of_outcomes_do_not_overlap() -> None:
    assert len(GOES_AGAIN | ON_REQUEST | GIVEN_UP) == len(GOES_AGAIN) + len(ON_REQUEST) + len(GIVEN_UP)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(response=JSON, error=JSON, status=st.integers(100, 599) | JSON, choices=JSON)
def test_no_row_is_without_an_outcome(response: object, error: object, status: object, choices: object) -> None:
    for shape in (
        response,
        {"status_code": status, "body": response},
        {"status_code": 200, "body": {"choices": choices}},
    ):
        line = parse_output_line(orjson.dumps({"custom_id": "a", "response": shape, "error": error}))
        if line is not None:
            assert judge(line, CHAT, VALIDATE).outcome in {
                "answered",
                "invalid",
                "truncated",
                "refused",
                "failed",
                "retryable",
            }
