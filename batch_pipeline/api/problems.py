"""Errors as problem details (RFC 9457): every refusal has a type for a machine and a sentence for a person."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from batch_pipeline.errors import (
    Disabled,
    LedgerReplaced,
    LedgerUnavailable,
    MissingKey,
    PipelineError,
    PlanSuperseded,
    ProviderError,
    UnknownJob,
    UnknownTask,
    UnpricedModel,
    UsageError,
    WarehouseBusy,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:batch-pipeline:problem:"
RETRY_SECONDS = 5


class WrongField(BaseModel):
    """A part of a request that is not as it must be."""

    where: str = Field(description="Such as `body.limit`.")
    what: str


class Problem(BaseModel):
    """Why a request was not done."""

    type: str = Field(description="What kind of problem it is, as a URN.")
    title: str = Field(description="The same in words.")
    status: int
    detail: str = Field(description="What happened, to what, and what to do now.")
    errors: list[WrongField] | None = Field(default=None, description="Each part that is wrong, where it is that.")


class Refused(Exception):
    """A request that is not done, as a problem.

    Args:
        status: HTTP status.
        kind: The last part of the problem's type.
        detail: A sentence for a person.
        headers: Of the response.
    """

    def __init__(self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem = problem(status, kind, detail)
        self.headers = dict(headers or {})


def problem(status: int, kind: str, detail: str, errors: list[WrongField] | None = None) -> Problem:
    """A problem, whose title is that of its status."""
    return Problem(type=PREFIX + kind, title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)


def answer(found: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as a response."""
    again = {"retry-after": str(RETRY_SECONDS)} if found.status == 503 else {}
    body = found.model_dump_json(exclude_none=True)
    return Response(body, found.status, {**again, **(headers or {})}, MEDIA_TYPE)


def of_error(error: PipelineError) -> Problem:
    """What an error of the chain is to a client."""
    for kinds, status, name in _STATUSES:
        if isinstance(error, kinds):
            return problem(status, name, str(error))
    log.error("a request failed: %s", error, exc_info=error)
    return problem(500, "failed", str(error))


_STATUSES: tuple[tuple[type[PipelineError] | tuple[type[PipelineError], ...], int, str], ...] = (
    (UnknownJob, 404, "unknown-job"),
    (UnknownTask, 404, "unknown-task"),
    (Disabled, 409, "disabled"),
    ((WarehouseBusy, LedgerReplaced, PlanSuperseded), 503, "busy"),
    (LedgerUnavailable, 503, "ledger"),
    (MissingKey, 409, "no-key"),
    (ProviderError, 502, "provider"),
    (UnpricedModel, 409, "no-price"),
    (UsageError, 409, "impossible"),
)


def add_to(app: FastAPI) -> None:
    """Answers every error of the application so."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(PipelineError, _of_pipeline)
    app.add_exception_handler(SQLAlchemyError, _of_ledger)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unforeseen)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - for its type
    return answer(error.problem, error.headers)


async def _of_pipeline(_: Request, error: Exception) -> Response:
    assert isinstance(error, PipelineError)  # noqa: S101 - for its type
    return answer(of_error(error))


async def _of_ledger(_: Request, error: Exception) -> Response:
    log.error("the ledger failed: %s", type(error).__name__, exc_info=error)
    return answer(problem(503, "ledger", "The ledger could not be asked. Nothing was lost; try again."))


async def _of_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for its type
    wrong = [
        WrongField(where=".".join(str(part) for part in each["loc"]), what=str(each["msg"])) for each in error.errors()
    ]
    told = "; ".join(f"{each.where}: {each.what}" for each in wrong[:5])
    return answer(problem(422, "invalid", f"The request is not as it must be: {told}.", wrong))


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for its type
    if error.status_code == 400:  # FastAPI's, of a body that is no UTF-8
        return answer(problem(422, "invalid", "The request is not as it must be: its body is no JSON."))
    kind, detail = _HTTP.get(error.status_code, ("refused", str(error.detail)))
    told = detail.format(method=request.method, path=request.url.path)
    headers = {"allow": _allowed(request)} if error.status_code == 405 else error.headers
    return answer(problem(error.status_code, kind, told), headers)


def _allowed(request: Request) -> str:
    """The methods of every route at this path; what comes with the error are those of the first."""
    paths = cast("FastAPI", request.app).openapi()["paths"]
    at_path = [path for path in paths if compile_path(path)[0].match(request.url.path)]
    exact = [path for path in at_path if path == request.url.path] or at_path
    return ", ".join(sorted({method.upper() for path in exact for method in paths[path]}))


async def _unforeseen(_: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return answer(problem(500, "failed", f"Unforeseen: {type(error).__name__}. The server's log says more."))


_HTTP = {
    404: ("not-found", "There is nothing at {path}. /openapi.json lists what there is."),
    405: ("method", "{method} is not for {path}. The header Allow names what is."),
    413: ("too-large", "The request is larger than this server takes."),
}
