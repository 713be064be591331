from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.wire.lines import OutputLine
from batch_pipeline.wire.messages import MessageBatch, claim_in, parse_result_line, without_claim
from batch_pipeline.wire.replies import Reply, Usage, read_reply

# the example of Anthropic's documentation, as docs/wire-facts.md has it
BATCH = """
{"id":"msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d","type":"message_batch","processing_status":"in_progress",
 "request_counts":{"processing":2,"succeeded":0,"errored":0,"canceled":0,"expired":0},"ended_at":null,
 "created_at":"2024-09-24T18:37:24.100435Z","expires_at":"2024-09-25T18:37:24.100435Z","cancel_initiated_at":null,
 "results_url":null}
"""
CREATED = 1727203044


def ended(**counts: int) -> MessageBatch:
    told = json.loads(BATCH) | {
        "processing_status": "ended",
        "ended_at": "2024-09-24T19:00:00Z",
        "results_url": "there",
    }
    return MessageBatch.model_validate(told | {"request_counts": {"processing": 0, "succeeded": 1, **counts}})


def message(*blocks: object, stop: str = "end_turn", **more: object) -> dict[str, object]:
    return {"type": "message", "content": list(blocks), "stop_reason": stop, **more}


def text(said: str, *citations: object) -> dict[str, object]:
    return {"type": "text", "text": said, "citations": list(citations) or None}


def result(kind: str, **of: object) -> bytes:
    return orjson.dumps({"custom_id": "0123abcd-r1", "result": {"type": kind, **of}})


def test_a_batch_that_runs_is_in_progress_and_has_no_output() -> None:
    batch = MessageBatch.model_validate_json(BATCH).as_batch()
    assert (batch.status, batch.output_file_id, batch.metadata) == ("in_progress", None, None)
    assert (batch.created_at, batch.expires_at) == (CREATED, CREATED + 86400)
    assert batch.request_counts is not None
    assert batch.request_counts.total == 2


ENDS: list[tuple[dict[str, int], str, int]] = [
    ({}, "completed", 0),
    ({"errored": 2}, "completed", 2),
    ({"expired": 3}, "expired", 3),
    ({"canceled": 4, "errored": 1}, "cancelled", 5),
]


@pytest.mark.parametrize(("counts", "status", "failed"), ENDS)
def test_an_ended_batch_says_how_it_ended_by_its_counts_alone(counts: dict[str, int], status: str, failed: int) -> None:
    batch = ended(**counts).as_batch()
    assert (batch.status, batch.output_file_id) == (status, batch.id)
    assert batch.ended
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, failed)


def test_an_ended_batch_that_does_not_show_its_results_yet_has_no_output() -> None:
    assert ended().model_copy(update={"results_url": None}).as_batch().output_file_id is None


def test_a_row_that_succeeded_has_its_message_and_our_own_id() -> None:
    line = parse_result_line(result("succeeded", message=message(text("{}"))))
    assert line == OutputLine("r1", 200, message(text("{}")), None, None)


ERRORS = {
    "invalid_request_error": 400,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    "one_that_came_later": 500,
}


@pytest.mark.parametrize(("kind", "status"), ERRORS.items())
def test_an_errored_row_has_the_status_of_its_type(kind: str, status: int) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "why"}, "request_id": "req_1"}
    assert parse_result_line(result("errored", error=error)) == OutputLine("r1", status, {}, kind, "why")


@pytest.mark.parametrize(("kind", "code"), [("canceled", "batch_cancelled"), ("expired", "batch_expired")])
def test_a_row_that_was_not_executed_says_why(kind: str, code: str) -> None:
    line = parse_result_line(result(kind))
    assert line is not None
    assert (line.custom_id, line.status_code, line.error_code) == ("r1", None, code)


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"custom_id":', b'{"custom_id":1,"result":{"type":"expired"}}'])
def test_what_is_no_result_is_none(raw: bytes) -> None:
    assert parse_result_line(raw) is None
    assert claim_in(raw) is None


@given(st.from_regex(r"[a-zA-Z0-9_-]{1,55}", fullmatch=True), st.from_regex(r"[0-9a-f]{8}", fullmatch=True))
def test_the_claim_comes_off_whatever_our_own_id_looks_like(custom_id: str, claim: str) -> None:
    sent = f"{claim}-{custom_id}"
    assert without_claim(sent) == custom_id
    assert claim_in(orjson.dumps({"custom_id": sent})) == claim


def test_tokens_read_from_the_cache_and_written_to_it_are_part_of_the_input() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 3_000,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    reply = read_reply("/v1/messages", message(text("a"), usage=usage))
    assert reply.usage == Usage(3_210, 200, 7, 5, cache_write_tokens=3_000)


@pytest.mark.parametrize(
    ("body", "said", "stop"),
    [
        (message(text("a"), {"type": "thinking", "thinking": "hm"}, text("b")), "ab", "end"),
        (message(text('{"'), stop="max_tokens"), '{"', "length"),
        (message(text('{"'), stop="model_context_window_exceeded"), '{"', "length"),
        (message(stop="refusal", stop_details={"type": "refusal", "explanation": "no"}), "no", "refusal"),
        (message(stop="refusal"), "the model refused", "refusal"),
        ({}, "", "end"),
    ],
)
def test_a_message_says_its_text_and_why_it_stopped(body: dict[str, object], said: str, stop: str) -> None:
    reply = read_reply("/v1/messages", body)
    assert (reply.text, reply.stop) == (said, stop)


def test_citations_are_put_beside_the_answer() -> None:
    cited = {"type": "page_location", "cited_text": "Two years.", "start_page_number": 3, "end_page_number": 4}
    other = {"type": "char_location", "cited_text": "elsewhere"}
    reply = read_reply("/v1/messages", message(text("It is "), text("two years.", cited, other)), cited=True)
    assert reply == Reply('{"answer":"It is two years.","citations":[{"page":3,"quote":"Two years."}]}', "end", Usage())
    plain = read_reply("/v1/messages", message(text("It is not said.")), cited=True)
    assert plain.text == '{"answer":"It is not said.","citations":[]}'
