"""Is this input file one that can be executed? As the provider decides it: all bad lines are named, in their order.

Codes, messages and fields are those that docs/wire-facts.md (1.4) records; where it records none, the comment says so.
Bodies are not looked into beyond this: what else is wrong with one comes up when it is executed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import orjson

from batch_pipeline.local_server.embeddings import EMBEDDINGS, inputs_in
from batch_pipeline.wire.batch import MAX_FILE_BYTES, MAX_REQUESTS, BatchError, versioned

Json = dict[str, object]

MAX_EMBEDDING_INPUTS = 50_000
"""Of all requests of a batch (docs/wire-facts.md, 1.7)."""

BYTES_PER_TOKEN = 4
"""Good enough for a queue's limit; the provider's own count of enqueued tokens is not public either."""

WORDS: dict[str, tuple[str, str | None]] = {
    "invalid_json_line": ("This line is not parseable as valid JSON.", None),
    # Alibaba's words: OpenAI's were never captured
    "duplicate_custom_id": (
        """The custom_id for this request is a duplicate of another request. \
The custom_id parameter must be unique for each request in a batch.""",
        "custom_id",
    ),
    "missing_required_parameter": ("Missing required parameter: 'custom_id'.", "custom_id"),
    "mismatched_model": ("Each batch must contain requests for a single model.", "body.model"),
    "invalid_url": ("The URL provided for this request does not match the batch endpoint.", "url"),
    "invalid_method": ("Invalid value: only 'POST' is supported.", "method"),  # not recorded
    "model_not_found": ("The provided model is not supported by the Batch API.", "body.model"),
    "streaming_unsupported": ("Chat Completions: Streaming is not supported in the Batch API.", "body.stream"),
    "token_limit_exceeded": (
        """Enqueued token limit reached for {model} in organization {organization}. Limit: {limit:,} enqueued tokens. \
Please try again once some in_progress batches have been completed.""",
        None,
    ),
    "invalid_request": (
        "Cannot find file {file}, or organization {organization} does not have access to it.",
        "file_id",
    ),
    "empty_file": ("The input file is empty. Please ensure that the batch contains at least one request.", None),
    "too_many_tasks": (f"The batch input file contains more than {MAX_REQUESTS} requests.", None),  # Azure's code
    "too_many_inputs": (f"The batch input file contains more than {MAX_EMBEDDING_INPUTS} embedding inputs.", None),
    "file_too_large": (f"The batch input file is larger than the {MAX_FILE_BYTES} maximum.", None),  # without a code
}
ORGANIZATION = "org-local"


_CODES = {"file_too_large": None, "too_many_inputs": "too_many_tasks"}
"""Where the code differs: a file too large has none; for too many inputs none is recorded, and Azure's is nearest."""


@dataclass(slots=True)
class Verdict:
    """What validation found: no errors, or why the batch fails."""

    model: str | None = None
    """The one model of the file."""
    lines: int = 0
    tokens: int = 0
    """Input tokens, estimated."""
    errors: list[BatchError] = field(default_factory=list[BatchError])


def validate_input(path: Path, endpoint: str) -> Verdict:
    """Reads the file once."""
    verdict = Verdict()
    if path.stat().st_size > MAX_FILE_BYTES:
        verdict.errors.append(worded("file_too_large"))
        return verdict
    lines = _Lines(endpoint)
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            lines.take(number, raw)
        verdict.tokens = file.tell() // BYTES_PER_TOKEN
    verdict.model, verdict.lines, verdict.errors = lines.model, lines.count, lines.errors
    if lines.count > MAX_REQUESTS:
        verdict.errors = [worded("too_many_tasks")]
    elif lines.inputs > MAX_EMBEDDING_INPUTS:
        verdict.errors = [worded("too_many_inputs")]
    return verdict


def as_ordered(error: BatchError) -> BatchError:
    """An error that was ordered, with the words and the field recorded for its code where it has none."""
    known = worded(error.code or "", error.line)
    return error.model_copy(update={"message": error.message or known.message, "param": error.param or known.param})


def worded(code: str, line: int | None = None, **words: object) -> BatchError:
    """An entry of `errors.data` in the words recorded for its code."""
    recorded, param = WORDS.get(code, (code, None))
    message = recorded.format(**words) if words else recorded
    return BatchError(code=_CODES.get(code, code), message=message, param=param, line=line)


AZURE_CODES = {"invalid_url": "url_mismatch", "mismatched_model": "model_mismatch"}
"""What Azure calls the same; all other codes are OpenAI's."""


def as_azure_says(error: BatchError) -> BatchError:
    """An entry of `errors.data` in Azure's words (docs/wire-facts.md, 3)."""
    if found := re.search(r"Limit: ([\d,]+) enqueued", error.message or ""):
        limit = _short(int(found[1].replace(",", "")))
        words = f"The number of enqueued tokens has surpassed the configured limit of {limit} for the deployment."
        return error.model_copy(update={"message": words})
    return error.model_copy(update={"code": AZURE_CODES.get(error.code or "", error.code)})


def _short(tokens: int) -> str:
    for unit, size in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if tokens >= size and tokens % (size // 10) == 0:
            return f"{tokens / size:g}{unit}"
    return str(tokens)


def cannot_find_file(file_id: str) -> BatchError:
    """The input file was deleted, never was, or is another account's."""
    return worded("invalid_request", file=file_id, organization=ORGANIZATION)


def token_limit_exceeded(model: str, limit: int) -> BatchError:
    """The queue of the model is full; what clients learn the limit from."""
    return worded("token_limit_exceeded", model=model, organization=ORGANIZATION, limit=limit)


class _Lines:
    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.asked = ("messages",) if versioned(endpoint) == "/v1/chat/completions" else ("input", "prompt")
        self.inputs = 0
        """Texts to embed."""
        self.model: str | None = None
        self.count = 0
        self.errors: list[BatchError] = []
        self.seen: set[str] = set()

    def take(self, number: int, raw: bytes) -> None:
        self.count = number
        try:
            line = orjson.loads(raw)
        except orjson.JSONDecodeError:
            line = None
        if not isinstance(line, dict):
            self.errors.append(worded("invalid_json_line", number))
        elif error := self._wrong(cast(Json, line), number):
            self.errors.append(error)

    def _wrong(self, line: Json, number: int) -> BatchError | None:
        """The first thing that is wrong with a line; whether the provider names a second one is not recorded."""
        for name in ("custom_id", "method", "url", "body"):
            if not line.get(name):
                return BatchError(
                    code="missing_required_parameter",
                    message=f"Missing required parameter: '{name}'.",
                    param=name,
                    line=number,
                )
        custom_id, body = line["custom_id"], line["body"]
        if not isinstance(custom_id, str) or not isinstance(body, dict):
            return worded("invalid_json_line", number)  # not recorded: a field of a wrong type
        if line["method"] != "POST":
            return worded("invalid_method", number)
        if line["url"] != self.endpoint:
            return worded("invalid_url", number)
        if custom_id in self.seen:
            return worded("duplicate_custom_id", number)
        self.seen.add(custom_id)
        return self._wrong_body(cast(Json, body), number)

    def _wrong_body(self, body: Json, number: int) -> BatchError | None:
        model = body.get("model")
        if not isinstance(model, str) or not model:
            return _required("Model", "body.model", number)
        if self.model is None:
            self.model = model
        if model != self.model:
            return worded("mismatched_model", number)
        if body.get("stream"):
            return worded("streaming_unsupported", number)
        if versioned(self.endpoint) == EMBEDDINGS and "input" in body:
            self.inputs += inputs_in(body["input"])  # what is wrong with it comes up when it is executed
        elif not any(body.get(name) for name in self.asked):
            return _required(self.asked[0].capitalize(), f"body.{self.asked[0]}", number)
        return None


def _required(what: str, param: str, number: int) -> BatchError:
    return BatchError(code="invalid_request", message=f"{what} parameter is required.", param=param, line=number)
