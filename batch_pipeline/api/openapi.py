"""The OpenAPI document: what FastAPI derives, with the problems that each route may answer with, and the token."""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from batch_pipeline.api.guard import OPEN_PATHS
from batch_pipeline.api.problems import MEDIA_TYPE, Problem

Json = dict[str, Any]

_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ALWAYS = {"500": "Something unforeseen.", "503": "Try again; `Retry-After` says when."}
_STATUSES = {
    "401": "No token, or a wrong one.",
    "404": "There is no such thing.",
    "409": "Not as things are.",
    "413": "The request is too large.",
    "422": "The request is not as it must be.",
}
_BY_ROUTE = {
    ("post", "/api/batch/create"): ("404", "409", "413", "422", "502"),
    ("get", "/api/batch"): ("422",),
    ("get", "/api/batch/{job_id}"): ("404", "422"),
    ("get", "/api/batch/{job_id}/results"): ("404", "422"),
    ("post", "/api/batch/{job_id}/cancel"): ("404", "413", "422"),
    ("post", "/api/batch/{job_id}/retry"): ("404", "409", "413", "422"),
    ("post", "/api/batch/schedule"): ("404", "409", "413", "422"),
    ("delete", "/api/batch/schedule/{schedule_id}"): ("404", "422"),
    ("post", "/webhooks/openai"): ("401", "409", "413"),
}


def add_to(app: FastAPI, *, with_token: bool) -> None:
    """Gives the application its document, made once."""
    made: list[Json] = []

    def document() -> Json:
        if not made:
            made.append(_document(app, with_token=with_token))
        return made[0]

    app.openapi = document  # how FastAPI's documentation has it


def _document(app: FastAPI, *, with_token: bool) -> Json:
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = cast("dict[str, Json]", found.setdefault("components", {}))
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"Problem": problem}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, operations in cast("dict[str, Json]", found["paths"]).items():
        for method, operation in operations.items():
            _complete(method, path, operation, with_token=with_token)
    if with_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return found


def _complete(method: str, path: str, operation: Json, *, with_token: bool) -> None:
    answers = cast(Json, operation["responses"])
    answers.pop("422", None)
    guarded = with_token and path not in OPEN_PATHS
    wanted = {*_BY_ROUTE.get((method, path), ()), *_ALWAYS, *(["401"] if guarded else [])}
    for status in sorted(wanted - answers.keys()):
        what = _STATUSES.get(status) or _ALWAYS.get(status) or "The provider refused, or did not answer."
        answers[status] = {"description": what, "content": _PROBLEM}
    if guarded:
        operation["security"] = [{"token": []}]
