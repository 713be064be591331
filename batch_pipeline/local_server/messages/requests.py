"""The body of a create: its requests, checked as Anthropic checks them, and written down as lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import orjson

from batch_pipeline.local_server.envelope import ApiError
from batch_pipeline.local_server.store import owner_only
from batch_pipeline.wire.messages import MAX_BODY_BYTES, MAX_REQUESTS, MESSAGES

Json = dict[str, object]

PATTERN = "^[a-zA-Z0-9_-]{1,64}$"

_CUSTOM_ID = re.compile(PATTERN)


def requests_in(body: bytes) -> list[Json]:
    """The requests of a create; what is wrong with their `params` comes up when they are executed.

    Raises:
        ApiError: 400 or 413, and nothing is created.
    """
    if len(body) > MAX_BODY_BYTES:
        raise ApiError(413, "Request exceeds the maximum size")
    try:
        asked = cast(object, orjson.loads(body))
    except orjson.JSONDecodeError:
        raise ApiError(400, "The request body is not valid JSON.") from None
    requests = cast(Json, asked).get("requests") if isinstance(asked, dict) else None
    if not isinstance(requests, list):
        raise ApiError(400, "requests: Field required")
    given = cast("list[object]", requests)
    if not given:
        raise ApiError(400, "requests: List should have at least 1 item after validation, not 0")
    if len(given) > MAX_REQUESTS:
        raise ApiError(413, f"requests: List should have at most {MAX_REQUESTS} items after validation")
    checked = [_checked(number, request) for number, request in enumerate(given)]
    if len({request["custom_id"] for request in checked}) < len(checked):
        raise ApiError(400, "requests: custom_id must be unique within a batch")  # Anthropic's words are not recorded
    return checked


def write_lines(requests: Sequence[Json], path: Path) -> None:
    """Writes requests as the lines of an input file."""
    with open(path, "wb", opener=owner_only) as file:
        for request in requests:
            line = {
                "custom_id": request["custom_id"],
                "method": "POST",
                "url": MESSAGES,
                "body": request["params"],
            }
            file.write(orjson.dumps(line) + b"\n")


def _checked(number: int, request: object) -> Json:
    row = cast(Json, request) if isinstance(request, dict) else {}
    custom_id = row.get("custom_id")
    if not isinstance(custom_id, str):
        raise ApiError(400, f"requests.{number}.custom_id: Field required")
    if not _CUSTOM_ID.fullmatch(custom_id):
        raise ApiError(400, f"requests.{number}.custom_id: String should match pattern '{PATTERN}'")
    if not isinstance(row.get("params"), dict):
        raise ApiError(400, f"requests.{number}.params: Field required")
    return row
