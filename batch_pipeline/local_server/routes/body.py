"""A request's body as JSON."""

from __future__ import annotations

from typing import cast

import orjson
from starlette.requests import Request

from batch_pipeline.local_server.envelope import ApiError

Json = dict[str, object]


async def json_body(request: Request) -> Json:
    """The body, an object.

    Raises:
        ApiError: 400, as the provider says it.
    """
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, "We could not parse the JSON body of your request.")
    return cast(Json, body)
