"""A provider batch, as OpenAI's `/v1/batches` gives it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

BatchStatus = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]
ENDED: frozenset[str] = frozenset({"failed", "completed", "expired", "cancelled"})
"""Statuses that a batch does not leave."""

Endpoint = Literal["/v1/chat/completions", "/v1/responses", "/v1/embeddings"]

MAX_REQUESTS = 50_000
MAX_FILE_BYTES = 209_715_200


def versioned(path: str) -> str:
    """An endpoint's path with its `/v1`, which Azure leaves out."""
    return path if path.startswith("/v1/") else f"/v1{path}"


class RequestCounts(BaseModel):
    """How many requests there are, and how many came to an end; not to be trusted after a cancel."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class CachedTokens(BaseModel):
    """Part of the input that was read from the provider's cache."""

    cached_tokens: int = 0


class ReasoningTokens(BaseModel):
    """Part of the output that was thought and not said."""

    reasoning_tokens: int = 0


class BatchUsage(BaseModel):
    """Tokens of all successful rows of a batch."""

    input_tokens: int = 0
    input_tokens_details: CachedTokens = CachedTokens()
    output_tokens: int = 0
    output_tokens_details: ReasoningTokens = ReasoningTokens()
    total_tokens: int = 0


class BatchError(BaseModel):
    """One entry of `errors.data` of a batch that failed validation; lines count from 1."""

    code: str | None = None
    message: str | None = None
    param: str | None = None
    line: int | None = None


class BatchErrors(BaseModel):
    """The errors of a batch that failed validation, one a bad line, in line order."""

    object: Literal["list"] = "list"
    data: list[BatchError] = []


class BatchObject(BaseModel):
    """A batch. Times are unix seconds; those of earlier states stay set."""

    model_config = ConfigDict(extra="ignore")

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None = None
    errors: BatchErrors | None = None
    input_file_id: str
    completion_window: str = "24h"
    status: BatchStatus
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: RequestCounts | None = None
    usage: BatchUsage | None = None
    metadata: dict[str, str] | None = None

    @property
    def ended(self) -> bool:
        """Whether the batch has come to its end, whichever."""
        return self.status in ENDED

    @property
    def executed_nothing(self) -> bool:
        """Failed validation: no line was run, no file was made, nothing is billed."""
        return self.status == "failed" and self.output_file_id is None and self.error_file_id is None
