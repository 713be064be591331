"""Parameters of listings, and what a listing answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from batch_pipeline.local_server.envelope import ApiError, invalid_type, invalid_value, json_answer
from batch_pipeline.local_server.store import Page
from batch_pipeline.wire.batch import BatchObject
from batch_pipeline.wire.file import FileObject

T = TypeVar("T", BatchObject, FileObject)


def page_asked(request: Request, most: int, default: int) -> Page:
    """The page that a listing is asked for, one entry longer, so that `page_answer` sees whether there is more.

    Raises:
        ApiError: 400 for a limit or an order that can't be.
    """
    given = request.query_params.get("limit", str(default))
    if not given.isdecimal():
        raise invalid_type("limit", "an integer", given)
    limit = int(given)
    if not 1 <= limit <= most:
        bound, than = ("integer_below_min_value", ">= 1") if limit < 1 else ("integer_above_max_value", f"<= {most}")
        raise ApiError(400, f"Invalid 'limit': expected a value {than}, but got {limit} instead.", "limit", bound)
    order = request.query_params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid_value("order", order, ("asc", "desc"))
    return Page(limit + 1, request.query_params.get("after"), newest_first=order == "desc")


def page_answer(entries: Sequence[T], page: Page) -> Response:
    """The listing of what was found for a page."""
    shown = entries[: page.limit - 1]
    return json_answer(
        {
            "object": "list",
            "data": [entry.model_dump(mode="json") for entry in shown],
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
            "has_more": len(entries) > len(shown),
        }
    )
