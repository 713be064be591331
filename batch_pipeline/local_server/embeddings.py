"""`/v1/embeddings`: what a request asks for, what is wrong with it, and the body of its reply.

The words of refusals are those that clients of OpenAI's showed in 2025 and 2026; fields and codes were seen for some of
them only, and are null for the others.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import orjson
from numpy.typing import NDArray

from batch_pipeline.local_server.engines.base import Answer, Json, Request
from batch_pipeline.local_server.envelope import ApiError, invalid_type, invalid_value, missing_parameter
from batch_pipeline.wire.replies import Usage

EMBEDDINGS = "/v1/embeddings"

MOST_INPUTS = 2_048
"""Of one request."""
MOST_TOKENS = 8_192
"""Of one input."""
MOST_TOKENS_IN_ALL = 300_000
"""Of all inputs of a request."""

Vectors = NDArray[np.float32]
"""One row an input."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was made of a request's inputs."""

    vectors: Vectors
    tokens: int
    """Of all inputs."""


@dataclass(frozen=True, slots=True)
class EmbeddingsAsked:
    """What a request asks for."""

    model: str
    inputs: Sequence[str | list[int]]
    """Texts, or token ids."""
    dimensions: int | None
    base64: bool

    def sized(self, default: int, most: int | None) -> int:
        """How many numbers each embedding has: what is asked for, or the model's own count.

        Args:
            default: The model's own count.
            most: The largest that may be asked for; None for a model whose embeddings have one size.

        Raises:
            ApiError: 400, it can't be had.
        """
        if self.dimensions is None or self.dimensions == default:
            return default
        if most is None:
            raise ApiError(400, "This model does not support specifying dimensions.")
        if self.dimensions > most:
            words = f"Invalid value for 'dimensions' = {self.dimensions}. Must be less than or equal to {most}."
            raise ApiError(400, words, "dimensions")
        return self.dimensions


def answer_embeddings(request: Request, model: str, embed: Callable[[EmbeddingsAsked], Embedded]) -> Answer:
    """The answer to one request, or its refusal.

    Args:
        request: For `/v1/embeddings`.
        model: What the reply names as the model.
        embed: Makes the vectors; what it refuses with an `ApiError` is refused.
    """
    try:
        asked = embeddings_asked(request.body)
        made = embed(asked)
    except ApiError as error:
        return Answer(request.custom_id, error.status, error.body, Usage())
    body = embeddings_body(model, made, base64=asked.base64)
    return Answer(request.custom_id, 200, body, Usage(input_tokens=made.tokens), len(asked.inputs))


def embeddings_asked(body: Json) -> EmbeddingsAsked:
    """What `body` asks for.

    Raises:
        ApiError: 400, as the provider says it.
    """
    model, form, dimensions = body.get("model"), body.get("encoding_format") or "float", body.get("dimensions")
    if not isinstance(model, str) or not model:
        raise ApiError(400, "you must provide a model parameter")
    if form not in ("float", "base64"):
        raise invalid_value("encoding_format", form, ("float", "base64"))
    if dimensions is not None and (not isinstance(dimensions, int) or isinstance(dimensions, bool)):
        raise invalid_type("dimensions", "an integer", dimensions)
    if dimensions is not None and dimensions < 1:
        raise ApiError(400, f"Invalid value for 'dimensions' = {dimensions}. Must be greater than 0.", "dimensions")
    return EmbeddingsAsked(model, _inputs(body.get("input")), dimensions, form == "base64")


def check_tokens(counts: Sequence[int]) -> int:
    """The sum of the tokens of each input.

    Raises:
        ApiError: 400, an input or all together are too long.
    """
    for index, count in enumerate(counts):
        if count > MOST_TOKENS:
            raise ApiError(400, f"Invalid 'input[{index}]': maximum input length is {MOST_TOKENS} tokens.")
    if (total := sum(counts)) > MOST_TOKENS_IN_ALL:
        words = f"Invalid 'input': maximum request size is {MOST_TOKENS_IN_ALL} tokens per request."
        raise ApiError(400, words)
    return total


def inputs_in(given: object) -> int:
    """How many inputs `input` is; one list of token ids is one."""
    items = cast("list[object]", given) if isinstance(given, list) else []
    return len(items) if items and not isinstance(items[0], int) else 1


def embeddings_body(model: str, made: Embedded, *, base64: bool) -> bytes:
    """The reply as JSON: each embedding as a list of numbers, or as base64 of little-endian floats of 32 bits."""
    encode = _as_base64 if base64 else _as_list
    rows = [
        b'{"object":"embedding","index":%d,"embedding":%b}' % (index, encode(vector))
        for index, vector in enumerate(made.vectors)
    ]
    return b'{"object":"list","data":[%b],"model":%b,"usage":{"prompt_tokens":%d,"total_tokens":%d}}' % (
        b",".join(rows),
        orjson.dumps(model),
        made.tokens,
        made.tokens,
    )


def _as_base64(vector: Vectors) -> bytes:
    return b'"%b"' % b64encode(np.ascontiguousarray(vector, "<f4").tobytes())


def _as_list(vector: Vectors) -> bytes:
    return orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY)


def _inputs(given: object) -> list[str | list[int]]:
    if given is None:
        raise missing_parameter("input")
    if isinstance(given, str):
        return [_input(given, "input")]
    items = cast("list[object]", given) if isinstance(given, list) else []
    if not items:
        raise _invalid()
    if isinstance(items[0], int):
        return [_input(items, "input")]
    if len(items) > MOST_INPUTS:
        raise ApiError(400, f"Invalid 'input': array length must be {MOST_INPUTS} or less.")
    return [_input(item, f"input[{index}]") for index, item in enumerate(items)]


def _input(given: object, place: str) -> str | list[int]:
    if isinstance(given, str):
        if not given:
            raise ApiError(400, f"Invalid '{place}': input cannot be an empty string.")
        return given
    tokens = cast("list[object]", given) if isinstance(given, list) else []
    if not tokens or not all(type(token) is int and token >= 0 for token in tokens):
        raise _invalid()
    return cast("list[int]", tokens)


def _invalid() -> ApiError:
    return ApiError(
        400, "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
    )
