from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.wire.lines import OutputLine, parse_output_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
"""Any JSON, and what Python takes for it."""

ROWS = st.fixed_dictionaries(
    {"custom_id": st.text(max_size=5) | JSON},
    optional={
        "response": JSON
        | st.fixed_dictionaries(
            {"status_code": st.integers() | JSON, "body": JSON | st.fixed_dictionaries({"error": JSON})}
        ),
        "error": JSON | st.fixed_dictionaries({"code": JSON, "message": JSON}),
    },
)

# the lines of docs/wire-facts.md, as they were recorded
ANSWERED = (
    b'{"id":"batch_req_wnaDys","custom_id":"request-2","response":{"status_code":200,"request_id":"req_c187b3",'
    b'"body":{"id":"chatcmpl-9758Iw","object":"chat.completion","created":1711475054,"model":"gpt-4o-mini",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"2 + 2 equals 4."},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":24,"completion_tokens":15,"total_tokens":39},"system_fingerprint":null}},"error":null}'
)
FAILED = (
    b'{"id":"batch_req_YTpodqz4ZJ8arId5Bm73lIEt","custom_id":"request-5","response":{"status_code":400,'
    b'"request_id":"0538a1cc8f8f8500bbe07250e6aa2b26","body":{"error":{"message":"This model\'s maximum context length '
    b'is 128000 tokens. However, ...","type":"invalid_request_error","param":"messages",'
    b'"code":"context_length_exceeded"}}},"error":null}'
)
EXPIRED = (
    b'{"id":"batch_req_123","custom_id":"request-3","response":null,"error":{"code":"batch_expired",'
    b'"message":"This request could not be executed before the completion window expired."}}'
)
CANCELLED = (
    b'{"id":"batch_req_..","custom_id":"..","response":null,"error":{"code":"batch_cancelled",'
    b'"message":"This request was not executed because the batch was cancelled."}}'
)


def test_an_answered_row_has_its_status_and_its_body() -> None:
    line = parse_output_line(ANSWERED)
    assert line is not None
    assert (line.custom_id, line.status_code, line.error_code, line.error_message) == ("request-2", 200, None, None)
    assert line.body["object"] == "chat.completion"


def test_a_rows_http_error_is_in_its_body_though_error_is_null() -> None:
    line = parse_output_line(FAILED)
    assert line is not None
    assert (line.custom_id, line.status_code, line.error_code) == ("request-5", 400, "context_length_exceeded")
    assert line.error_message == "This model's maximum context length is 128000 tokens. However, ..."


@pytest.mark.parametrize(("raw", "code"), [(EXPIRED, "batch_expired"), (CANCELLED, "batch_cancelled")])
def test_a_row_that_was_not_executed_has_no_status_and_says_why(raw: bytes, code: str) -> None:
    line = parse_output_line(raw)
    assert line is not None
    assert (line.status_code, line.body, line.error_code) == (None, {}, code)
    assert (line.error_message or "").startswith("This request")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"response": None, "error": None}, OutputLine("r", None, {}, "no_response", None)),
        ({}, OutputLine("r", None, {}, "no_response", None)),
        ({"response": {"status_code": 200}}, OutputLine("r", 200, {}, None, None)),
        ({"response": {"status_code": 500, "body": "oh"}}, OutputLine("r", 500, {}, "http_500", None)),
        (
            {
                "response": {
                    "status_code": 429,
                    "body": {"error": {"type": "requests", "code": None, "message": "slow"}},
                }
            },
            OutputLine("r", 429, {"error": {"type": "requests", "code": None, "message": "slow"}}, "requests", "slow"),
        ),
    ],
)
def test_what_is_left_out_is_left_out(row: dict[str, object], expected: OutputLine) -> None:
    assert parse_output_line(orjson.dumps({"custom_id": "r", **row})) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        ANSWERED[:-20],
        b"\xff" + ANSWERED,
        b'{"response":null}',
        b'{"custom_id":1,"response":null}',
        b'{"custom_id":"r","response":{"body":{}}}',
        b'{"custom_id":"r","response":{"status_code":"200","body":{}}}',
        b'{"custom_id":"r","response":{"status_code":99999999999,"body":{}}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_row_is_none(raw: bytes) -> None:
    assert parse_output_line(raw) is None


def test_a_custom_id_comes_back_byte_for_byte() -> None:
    custom_id = "é — ü / \u2028 " + "x" * 100
    line = parse_output_line(json.dumps({"custom_id": custom_id, "response": None}).encode())
    assert line is not None
    assert line.custom_id == custom_id


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_raise(raw: bytes) -> None:
    parse_output_line(raw)


@settings(deadline=None)
@given(ROWS | JSON)
def test_no_json_raises_and_a_row_keeps_its_promises(row: object) -> None:
    line = parse_output_line(json.dumps(row).encode())
    if line is not None:
        assert line.status_code is None or 100 <= line.status_code <= 599
        answered = line.status_code is not None and 200 <= line.status_code < 300
        assert (line.error_code is None) is answered


@settings(deadline=None)
@given(st.sampled_from([ANSWERED, FAILED, EXPIRED]), st.data())
def test_no_damage_to_a_recorded_row_raises(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw)))
    parse_output_line(raw[:at])
    parse_output_line(raw[:at] + data.draw(st.binary(max_size=3)) + raw[at + 1 :])
