"""Answers that are not the thing asked for, in Anthropic's envelope."""

from __future__ import annotations

import orjson
from pydantic import ValidationError

from batch_pipeline.local_server.ids import request_id
from batch_pipeline.wire.errors import ErrorEnvelope
from batch_pipeline.wire.messages import STATUSES

TYPES = {status: kind for kind, status in STATUSES.items()}
"""The error's type by HTTP status."""


def error_type(status: int) -> str:
    """The `type` of an error of this status."""
    return TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def message_error(status: int, message: str, kind: str | None = None) -> dict[str, object]:
    """The envelope: `{"type": "error", "error": {"type": …, "message": …}, "request_id": …}`."""
    return {
        "type": "error",
        "error": {"type": kind or error_type(status), "message": message},
        "request_id": request_id(),
    }


def as_message_error(status: int, body: bytes) -> bytes:
    """An error in OpenAI's envelope, in Anthropic's."""
    try:
        message = ErrorEnvelope.model_validate_json(body).error.message
    except ValidationError:
        message = "Internal server error"
    return orjson.dumps(message_error(status, message))


def speaks_messages(path: str) -> bool:
    """Whether a request for this path is answered in Anthropic's words."""
    return path.startswith("/v1/messages")
