"""What became of a request: exactly one outcome each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import orjson

from batch_pipeline.wire.lines import OutputLine
from batch_pipeline.wire.replies import Usage, read_reply

Outcome = Literal[
    "answered",  # parsed, satisfies the model
    "invalid",  # 2xx, but not JSON, or not the model's shape
    "truncated",  # the output limit cut it off
    "refused",  # by the model or a content filter
    "failed",  # an HTTP error that another try would meet again
    "retryable",  # 408, 409, 429, 5xx, or not executed for a cause that passes
    "expired",
    "cancelled",
    "missing",  # in no file that the provider gave
    "lost",  # the provider no longer has the file
    "waiting",  # another job had it in flight, and no answer came
    "pending",  # nothing came yet
]

GOES_AGAIN: frozenset[str] = frozenset({"invalid", "truncated", "retryable", "expired", "missing", "waiting"})
"""Outcomes that the next attempt takes up by itself."""
ON_REQUEST: frozenset[str] = frozenset({"cancelled", "lost"})
"""Outcomes that go again only when a person asks."""
GIVEN_UP: frozenset[str] = frozenset({"refused", "failed"})
"""Outcomes after which no later plan buys the same request."""
PASSING_STATUSES = frozenset({408, 409, 429})

Validate = Callable[[str], str | None]
"""Says what is wrong with an answer's text; None if nothing is."""

_NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Result:
    """One row of an output or error file, judged."""

    outcome: Outcome
    http_status: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    response_text: str | None = None
    usage: Usage = _NO_USAGE
    vector: bytes | None = None
    """Of an embedding: its numbers, 32 bits each, in this machine's order of bytes."""


def judge(line: OutputLine, endpoint: str, validate: Validate, *, cited: bool = False) -> Result:
    """The outcome of a row of a batch's files; `cited` as in `read_reply`."""
    bad = judge_status(line)
    if bad is not None:
        return bad
    reply = read_reply(endpoint, line.body, cited=cited)
    if reply.stop == "refusal":
        return Result("refused", line.status_code, "refusal", reply.text, reply.text, reply.usage)
    if reply.stop == "length":
        why = "the answer was cut off at the output limit"
        return Result("truncated", line.status_code, "truncated", why, reply.text, reply.usage)
    wrong = validate(reply.text)
    if wrong is not None:
        return Result("invalid", line.status_code, "invalid_answer", wrong, reply.text, reply.usage)
    return Result("answered", line.status_code, None, None, reply.text, reply.usage)


def judge_status(line: OutputLine) -> Result | None:
    """The outcome of a row that is no success; None for one that is, whose body is to be judged."""
    if line.status_code is None:
        return Result(_not_executed(line.error_code), None, line.error_code, line.error_message)
    if 200 <= line.status_code < 300:
        return None
    passing = line.status_code in PASSING_STATUSES or line.status_code >= 500
    outcome: Outcome = "retryable" if passing else "failed"
    return Result(outcome, line.status_code, line.error_code, line.error_message)


def validator(schema: dict[str, object] | None) -> Validate:
    """Checks answers against a job's own schema; any text that is not empty serves where there is none."""
    if schema is None:
        return lambda text: None if text.strip() else "the answer is empty"
    from jsonschema_rs import ValidationError, validator_for

    checks = validator_for(schema, validate_formats=True)

    def validate(text: str) -> str | None:
        try:
            answer = cast(object, orjson.loads(text))
        except orjson.JSONDecodeError as error:
            return f"not JSON: {error}"
        if checks.is_valid(answer):
            return None
        try:
            checks.validate(answer)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.instance_path) or "the answer"
            return f"{where}: {error.message}"
        return None

    return validate


def _not_executed(code: str | None) -> Outcome:
    return {"batch_expired": "expired", "batch_cancelled": "cancelled"}.get(code or "", "retryable")  # pyright: ignore[reportReturnType] - both are outcomes
