"""The row that nearly all are, a chat completion that ended by itself, without a look at what else it could be.

It comes to the same as `wire.lines`, `wire.replies` and `outcomes` together, which look at every row that is not so:
in a profile of a collection of 50,000 they took half of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from batch_pipeline.batches.outcomes.judging import Outcome, Result, Validate

_MOST = 2**31
_NO_DETAILS: Mapping[str, int] = {}


class Row(NamedTuple):
    """A judged row as it is stored, column by column."""

    custom_id: str
    outcome: Outcome
    http_status: int | None
    error_code: str | None
    error_message: str | None
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    response_text: str | None
    vector: bytes | None = None


def row_of(custom_id: str, result: Result) -> Row:
    """A result as a row."""
    usage = result.usage
    return Row(
        custom_id,
        result.outcome,
        result.http_status,
        result.error_code,
        result.error_message,
        usage.input_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        result.response_text,
        result.vector,
    )


def plain_row(raw: bytes, validate: Validate) -> Row | None:
    """The row of a line of `/v1/chat/completions`; None where it is any other than the plain one."""
    try:
        line = orjson.loads(raw)
        response = line["response"]
        body = response["body"]
        choice, usage = body["choices"][0], body["usage"]
        message, status, name = choice["message"], response["status_code"], line["custom_id"]
        text = message["content"]
        asked = usage.get("prompt_tokens_details") or _NO_DETAILS
        said = usage.get("completion_tokens_details") or _NO_DETAILS
        read, cached, written = (
            usage["prompt_tokens"],
            asked.get("cached_tokens", 0),
            asked.get("cache_write_tokens", 0),
        )
        output, reasoning = usage["completion_tokens"], said.get("reasoning_tokens", 0)
        if choice["finish_reason"] != "stop" or message.get("refusal"):
            return None
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        return None
    if not (type(name) is type(text) is str and type(status) is int and status == 200):
        return None
    for count in (read, cached, written, output, reasoning):
        if type(count) is not int or not 0 <= count < _MOST:
            return None
    wrong = validate(text)
    if wrong is None:
        return Row(name, "answered", 200, None, None, read, cached, written, output, reasoning, text)
    return Row(name, "invalid", 200, "invalid_answer", wrong, read, cached, written, output, reasoning, text)
