"""The JSON schema that a request wants its answer to satisfy."""

from __future__ import annotations

from typing import cast

from batch_pipeline.local_server.engines.base import Json, Request


def schema_asked(request: Request) -> Json | None:
    """Out of `response_format` or `text.format`; `{"type": "object"}` where any JSON object will do, None for text."""
    body = request.body
    if request.url == "/v1/responses":
        form = _object(_object(body.get("text")).get("format"))
        schema = form.get("schema")
    else:
        form = _object(body.get("response_format"))
        schema = _object(form.get("json_schema")).get("schema")
    if form.get("type") == "json_object":
        return {"type": "object"}
    return cast(Json, schema) if isinstance(schema, dict) else None


def _object(value: object) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}
