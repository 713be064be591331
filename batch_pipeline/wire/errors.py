"""The provider's error envelope."""

from __future__ import annotations

from pydantic import BaseModel


class ErrorBody(BaseModel):
    """What went wrong, in the provider's words."""

    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None


class ErrorEnvelope(BaseModel):
    """The body of every 4xx and 5xx of the protocol; an answer without it is somebody else's."""

    error: ErrorBody
