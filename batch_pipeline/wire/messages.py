"""Anthropic's Message Batches: the batch object, the lines of its results, and the claim in a `custom_id`.

Fields and values are those of the official client, 2.12.0 (`anthropic.types.messages`).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal, cast

import orjson
from pydantic import BaseModel, ConfigDict

from batch_pipeline.wire.batch import BatchObject, BatchStatus, RequestCounts
from batch_pipeline.wire.lines import OutputLine

MESSAGES = "/v1/messages"
MAX_REQUESTS = 100_000
MAX_BODY_BYTES = 256_000_000

CLAIM_LENGTH = 8
"""Characters of a claim that are put before each `custom_id`, with a hyphen after them."""

NO_CLAIM = "0" * CLAIM_LENGTH
"""Stands for a claim where a request was answered at once."""

STATUSES: dict[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that each `error.type` stands for; a row of a batch has the type alone."""

Json = dict[str, object]

_CLAIMED = re.compile(rf"([0-9a-f]{{{CLAIM_LENGTH}}})-(.+)", re.DOTALL)


class MessageCounts(BaseModel):
    """Requests by what became of them: all of them `processing` until the whole batch has ended."""

    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0

    @property
    def total(self) -> int:
        """Requests of the batch."""
        return self.processing + self.succeeded + self.errored + self.canceled + self.expired


class MessageBatch(BaseModel):
    """A batch, as `/v1/messages/batches` gives it. It carries nothing of its creator's: no metadata, no file."""

    model_config = ConfigDict(extra="ignore")

    id: str
    type: Literal["message_batch"] = "message_batch"
    processing_status: Literal["in_progress", "canceling", "ended"]
    request_counts: MessageCounts
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    cancel_initiated_at: datetime | None = None
    archived_at: datetime | None = None
    """When its results became unavailable."""
    results_url: str | None = None

    def as_batch(self) -> BatchObject:
        """The batch in the terms of the rest: its results are its output file, and have its id."""
        counts, ended = self.request_counts, _seconds(self.ended_at)
        status = self._status()
        return BatchObject(
            id=self.id,
            endpoint=MESSAGES,
            input_file_id="",
            status=status,
            output_file_id=self.id if self.results_url or self.archived_at else None,
            created_at=_seconds(self.created_at) or 0,
            expires_at=_seconds(self.expires_at),
            cancelling_at=_seconds(self.cancel_initiated_at),
            completed_at=ended if status == "completed" else None,
            expired_at=ended if status == "expired" else None,
            cancelled_at=ended if status == "cancelled" else None,
            request_counts=RequestCounts(
                total=counts.total,
                completed=counts.succeeded,
                failed=counts.errored + counts.canceled + counts.expired,
            ),
        )

    def _status(self) -> BatchStatus:
        """An ended batch has no other word for its end than its counts."""
        if self.processing_status != "ended":
            return "cancelling" if self.processing_status == "canceling" else "in_progress"
        if self.request_counts.canceled:
            return "cancelled"
        return "expired" if self.request_counts.expired else "completed"


def parse_result_line(raw: bytes) -> OutputLine | None:
    """A line of a batch's results, without the claim in its `custom_id`; None if it is none.

    An errored row has the HTTP status that its error's type stands for, and 500 where that is unknown.
    """
    row = _row(raw)
    custom_id, result = row.get("custom_id"), _object(row.get("result"))
    if not isinstance(custom_id, str):
        return None
    custom_id = without_claim(custom_id)
    match result.get("type"):
        case "succeeded":
            return OutputLine(custom_id, 200, _object(result.get("message")), None, None)
        case "errored":
            return _errored(custom_id, result)
        case "canceled":
            return OutputLine(custom_id, None, {}, "batch_cancelled", "not executed: the batch was cancelled")
        case "expired":
            return OutputLine(custom_id, None, {}, "batch_expired", "not executed: the batch expired before it")
        case _:
            return None


def result_line(custom_id: str, status: int, body: Json) -> bytes:
    """A line of results, out of what `/v1/messages` answered at once, or what there is to say in its place.

    It stands as if a claim were before its `custom_id`: one is taken off each.
    """
    result = {"type": "succeeded", "message": body} if status < 300 else {"type": "errored", "error": body}
    return orjson.dumps({"custom_id": f"{NO_CLAIM}-{custom_id}", "result": result})


def error_body(status: int, message: str) -> Json:
    """An error in Anthropic's words, where somebody else told of it."""
    known = {code: kind for kind, code in STATUSES.items()}
    kind = known.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def claim_in(raw: bytes) -> str | None:
    """The claim that a line of results names; None where it names none."""
    custom_id = _row(raw).get("custom_id")
    found = _CLAIMED.fullmatch(custom_id) if isinstance(custom_id, str) else None
    return found[1] if found else None


def without_claim(custom_id: str) -> str:
    """Our own `custom_id`: each that we send has a claim before it, and only one is taken off."""
    found = _CLAIMED.fullmatch(custom_id)
    return found[2] if found else custom_id


def _errored(custom_id: str, result: Json) -> OutputLine:
    outer = _object(result.get("error"))
    error = _object(outer.get("error")) or outer
    kind, message = error.get("type"), error.get("message")
    code = kind if isinstance(kind, str) else "api_error"
    return OutputLine(custom_id, STATUSES.get(code, 500), {}, code, message if isinstance(message, str) else None)


def _row(raw: bytes) -> Json:
    try:
        return _object(orjson.loads(raw))
    except orjson.JSONDecodeError:
        return {}


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _object(value: object) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}
