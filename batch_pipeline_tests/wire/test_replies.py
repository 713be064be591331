from __future__ import annotations

import json
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.wire.batch import BatchObject
from batch_pipeline.wire.lines import parse_output_line
from batch_pipeline.wire.replies import Reply, Usage, read_reply
from batch_pipeline_tests.wire.test_lines import ANSWERED, JSON

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"

# the example of OpenAI's OpenAPI document, as docs/wire-facts.md has it
BATCH = """
{"id":"batch_abc123","object":"batch","endpoint":"/v1/completions","model":"gpt-5-2025-08-07","errors":null,
 "input_file_id":"file-abc123","completion_window":"24h","status":"completed","output_file_id":"file-cvaTdG",
 "error_file_id":"file-HOWS94","created_at":1711471533,"in_progress_at":1711471538,"expires_at":1711557933,
 "finalizing_at":1711493133,"completed_at":1711493163,"failed_at":null,"expired_at":null,"cancelling_at":null,
 "cancelled_at":null,"request_counts":{"total":100,"completed":95,"failed":5},
 "usage":{"input_tokens":1500,"input_tokens_details":{"cached_tokens":1024},"output_tokens":500,
          "output_tokens_details":{"reasoning_tokens":300},"total_tokens":2000},
 "metadata":{"customer_id":"user_123456789","batch_description":"Nightly eval job"}}
"""


def chat(message: object, reason: str = "stop", **usage: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage}


def response(*content: object, status: str = "completed", **more: object) -> dict[str, object]:
    output: list[object] = [{"type": "reasoning"}, {"type": "message", "role": "assistant", "content": list(content)}]
    return {"status": status, "output": output, **more}


def test_the_recorded_reply_says_what_it_says() -> None:
    line = parse_output_line(ANSWERED)
    assert line is not None
    expected = Reply("2 + 2 equals 4.", "end", Usage(input_tokens=24, output_tokens=15))
    assert read_reply(CHAT, line.body) == expected


@pytest.mark.parametrize(
    ("endpoint", "body", "text", "stop"),
    [
        (CHAT, chat({"content": "{}"}), "{}", "end"),
        (CHAT, chat({"content": ""}, "length"), "", "length"),  # a reasoning model that was cut off says nothing
        (CHAT, chat({"content": None, "refusal": "I can't."}), "I can't.", "refusal"),
        (CHAT, chat({"content": None}, "content_filter"), "stopped by the provider's content filter", "refusal"),
        (CHAT, chat({"content": "half"}, "content_filter"), "half", "refusal"),
        (RESPONSES, response({"type": "output_text", "text": "{}"}), "{}", "end"),
        (RESPONSES, response({"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}), "ab", "end"),
        (RESPONSES, response({"type": "refusal", "refusal": "I can't."}), "I can't.", "refusal"),
        (
            RESPONSES,
            response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "",
            "length",
        ),
        (RESPONSES, response(status="incomplete", incomplete_details={"reason": "content_filter"}), "", "refusal"),
        (RESPONSES, response(status="incomplete"), "", "length"),
    ],
)
def test_why_a_reply_stopped_is_read_from_where_each_endpoint_says_it(
    endpoint: str, body: dict[str, object], text: str, stop: str
) -> None:
    reply = read_reply(endpoint, body)
    assert (reply.text, reply.stop) == (text, stop)


def test_tokens_are_read_by_each_endpoints_own_names() -> None:
    expected = Usage(input_tokens=100, cached_tokens=60, cache_write_tokens=5, output_tokens=20, reasoning_tokens=15)
    chat_usage: dict[str, object] = {
        "prompt_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 5},
        "completion_tokens": 20,
        "completion_tokens_details": {"reasoning_tokens": 15},
    }
    responses_usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 5},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 15},
    }
    assert read_reply(CHAT, chat({"content": "x"}) | {"usage": chat_usage}).usage == expected
    assert read_reply(RESPONSES, response(usage=responses_usage)).usage == expected


@pytest.mark.parametrize("count", [-1, None, "7", True, 1.5, 2**31, 2**64 - 1])
def test_a_count_that_no_reply_can_have_is_none(count: object) -> None:
    assert read_reply(CHAT, chat({"content": "x"}, prompt_tokens=count)).usage == Usage()


@settings(deadline=None)
@given(st.sampled_from([CHAT, RESPONSES]), st.dictionaries(st.text(max_size=5), JSON))
def test_no_body_raises(endpoint: str, body: dict[str, object]) -> None:
    read_reply(endpoint, body)


@settings(deadline=None)
@given(
    st.sampled_from([CHAT, RESPONSES]),
    st.fixed_dictionaries(
        {},
        optional={
            "choices": st.lists(st.fixed_dictionaries({"message": JSON, "finish_reason": JSON}), max_size=2) | JSON,
            "output": st.lists(st.fixed_dictionaries({"type": st.just("message"), "content": JSON}), max_size=2) | JSON,
            "status": JSON,
            "incomplete_details": JSON,
            "usage": JSON | st.dictionaries(st.sampled_from(["prompt_tokens", "input_tokens_details"]), JSON),
        },
    ),
)
def test_no_body_that_is_nearly_right_raises(endpoint: str, body: dict[str, object]) -> None:
    reply = read_reply(endpoint, body)
    assert reply.stop in ("end", "length", "refusal")
    assert all(0 <= count < 2**31 for count in astuple(reply.usage))


def test_the_recorded_batch_is_read_whole() -> None:
    batch = BatchObject.model_validate_json(BATCH)
    assert batch.model_dump(mode="json") == json.loads(BATCH)
    assert batch.ended
    assert not batch.executed_nothing


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("validating", False),
        ("in_progress", False),
        ("finalizing", False),
        ("cancelling", False),
        ("failed", True),
        ("completed", True),
        ("expired", True),
        ("cancelled", True),
    ],
)
def test_four_statuses_are_ends(status: str, ended: bool) -> None:
    batch = BatchObject.model_validate({**json.loads(BATCH), "status": status})
    assert batch.ended is ended


def test_only_a_failed_batch_without_files_executed_nothing() -> None:
    without = {"output_file_id": None, "error_file_id": None}
    assert BatchObject.model_validate({**json.loads(BATCH), **without, "status": "failed"}).executed_nothing
    assert not BatchObject.model_validate({**json.loads(BATCH), "status": "failed"}).executed_nothing
    assert not BatchObject.model_validate({**json.loads(BATCH), **without, "status": "cancelled"}).executed_nothing
