"""The lines of a batch's files: requests in, outputs and errors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import orjson

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One line of an output or error file, taken apart.

    `status_code` is None for a request that was not executed; then `error_code` says why
    (`batch_expired`, `batch_cancelled`). For an HTTP error, code and message are those of the body.
    """

    custom_id: str
    status_code: int | None
    body: Json
    error_code: str | None
    error_message: str | None


def parse_output_line(raw: bytes) -> OutputLine | None:
    """Takes a line apart; None if it is not JSON, or not a line of a batch's output.

    The signal of failure is not `error`: a row's HTTP error has `error: null` and the error in its body
    (openai-openapi, issue 302). So `response` is looked at first, then its status, then the body.
    """
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(line, dict) or not isinstance(custom_id := cast(Json, line).get("custom_id"), str):
        return None
    row = cast(Json, line)
    response = _object(row.get("response"))
    if not response:
        error = _object(row.get("error"))
        return OutputLine(custom_id, None, {}, _text(error.get("code")) or "no_response", _text(error.get("message")))
    status, body = response.get("status_code"), _object(response.get("body"))
    if not isinstance(status, int) or not 100 <= status <= 599:
        return None
    if 200 <= status < 300:
        return OutputLine(custom_id, status, body, None, None)
    error = _object(body.get("error"))
    code = _text(error.get("code")) or _text(error.get("type")) or f"http_{status}"
    return OutputLine(custom_id, status, body, code, _text(error.get("message")))


def output_line(custom_id: str, status: int, body: Json, request_id: str | None) -> bytes:
    """A line of a batch's output, out of what an endpoint answered at once."""
    response = {"status_code": status, "request_id": request_id or "", "body": body}
    return orjson.dumps({"id": f"at_once_{custom_id}", "custom_id": custom_id, "response": response, "error": None})


def unanswered_line(custom_id: str, code: str, message: str) -> bytes:
    """The line of a request that no answer came to."""
    error = {"code": code, "message": message}
    return orjson.dumps({"id": f"at_once_{custom_id}", "custom_id": custom_id, "response": None, "error": error})


def _object(value: object) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
