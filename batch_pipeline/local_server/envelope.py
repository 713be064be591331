"""Answers that are not the thing asked for: OpenAI's envelope, and its words (docs/wire-facts.md, 1.3, 1.4, 1.8)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from batch_pipeline.wire.errors import ErrorBody, ErrorEnvelope


class ApiError(Exception):
    """A request is refused, in the provider's own envelope.

    Args:
        status: HTTP status.
        message: The provider's words.
        param: The field it is about.
        code: The provider's code.
        kind: The envelope's `type`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.body = error_body(message, param, code, kind)


def error_body(
    message: str, param: str | None = None, code: str | None = None, kind: str = "invalid_request_error"
) -> bytes:
    """The envelope as JSON; all four fields are always there."""
    return ErrorEnvelope(error=ErrorBody(message=message, type=kind, param=param, code=code)).model_dump_json().encode()


def json_answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any JSON value, or bytes that are JSON already, as an answer."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status, headers=headers, media_type="application/json")


def no_such_batch(batch_id: str) -> ApiError:
    """404, as recorded live (1.3)."""
    return ApiError(404, f"No batch found with id '{batch_id}'.")


def no_such_file(file_id: str) -> ApiError:
    """404 for a file that never was, was deleted, has expired, or is another account's."""
    return ApiError(404, f"No such File object: {file_id}", param="id")


def invalid_value(param: str, value: object, allowed: tuple[str, ...]) -> ApiError:
    """400 for a value outside its list (1.4)."""
    values = " and ".join([", ".join(f"'{one}'" for one in allowed[:-1]), f"'{allowed[-1]}'"][len(allowed) == 1 :])
    return ApiError(400, f"Invalid value: '{value}'. Supported values are: {values}.", param, "invalid_value")


def missing_parameter(param: str) -> ApiError:
    """400 for a field that must be there (1.4)."""
    return ApiError(400, f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def invalid_type(param: str, expected: str, value: object) -> ApiError:
    """400 for a field of another type than it must be (1.4)."""
    message = f"Invalid type for '{param}': expected {expected}, but got {_named(value)} instead."
    return ApiError(400, message, param, "invalid_type")


def _named(value: object) -> str:
    names: dict[type, str] = {
        type(None): "null",
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
    }
    return names.get(type(value), "an array" if isinstance(value, list) else "an object")
