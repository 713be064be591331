"""What is said in the messages of a request: texts, images and PDFs, checked as the provider checks them.

The words of refusals are those that clients of OpenAI's showed in 2025 and 2026. An image or a file behind a URL, or
under a file's id, is taken as it is named: this server fetches nothing.
"""

from __future__ import annotations

import binascii
import math
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import cast

from batch_pipeline.local_server.engines.base import Json, Request
from batch_pipeline.local_server.envelope import ApiError, missing_parameter

RESPONSES = "/v1/responses"

PATCH, MOST_PATCHES, TOKENS_PER_PATCH = 32, 2_500, 1.2
"""How most models of OpenAI's count an image (docs/wire-facts.md, 1.12); the steps between are left out."""
LONGEST_SIDE = {"low": 512}
"""Pixels that an image is made to fit, by `detail`; 2,048 for other levels."""

UNSEEN = (1024, 1024)
"""The size that an image behind a URL is taken to have."""

PDF = b"%PDF-"

_CHAT_TYPES = ("text", "image_url", "input_audio", "refusal", "audio", "file")
_RESPONSE_TYPES = (
    *("input_text", "input_image", "output_text", "refusal", "input_file", "computer_screenshot", "summary_text"),
)
_IMAGE = "an image MIME type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU=')"
_FILE = "an application/pdf MIME type (e.g. 'data:application/pdf;base64,SGVsbG8sIFdvcmxkIQ==')"
_NO_IMAGE = (
    "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
    "['png', 'jpeg', 'gif', 'webp']."
)


@dataclass(frozen=True, slots=True)
class Picture:
    """An image: its size in pixels, and the characters that it took in the request."""

    width: int
    height: int
    detail: str
    characters: int

    @property
    def tokens(self) -> int:
        """What it counts, roughly: the models differ."""
        scale = min(1.0, LONGEST_SIDE.get(self.detail, 2048) / max(self.width, self.height))
        patches = math.ceil(self.width * scale / PATCH) * math.ceil(self.height * scale / PATCH)
        return math.ceil(min(patches, MOST_PATCHES) * TOKENS_PER_PATCH)


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF: the text of each page, and the characters that it took in the request."""

    name: str
    pages: tuple[str, ...]
    characters: int


Part = str | Picture | Document


def messages_in(request: Request) -> Iterator[tuple[str, Sequence[Part]]]:
    """Role and parts of each message; instructions are a message of the system's.

    Raises:
        ApiError: 400, a part is none that the endpoint takes, or holds something else than it says.
    """
    body, responses = request.body, request.url == RESPONSES
    if responses and isinstance(instructions := body.get("instructions"), str):
        yield "system", (instructions,)
    given = body.get("input" if responses else "messages")
    if responses and isinstance(given, str):
        yield "user", (given,)
        return
    for index, message in enumerate(cast("list[object]", given) if isinstance(given, list) else []):
        said = _object(message)
        place = f"{'input' if responses else 'messages'}[{index}].content"
        yield str(said.get("role") or "user"), _parts(said.get("content"), place, responses=responses)


def _parts(content: object, place: str, *, responses: bool) -> Sequence[Part]:
    if isinstance(content, str):
        return (content,)
    parts = cast("list[object]", content) if isinstance(content, list) else []
    read = _response_part if responses else _chat_part
    return [read(_object(part), f"{place}[{index}]") for index, part in enumerate(parts)]


def _chat_part(part: Json, place: str) -> Part:
    match part.get("type"):
        case "text":
            return _text(part, "text", place)
        case "refusal":
            return _text(part, "refusal", place)
        case "image_url":
            url = f"{place}.image_url"
            image = _object(part.get("image_url"))
            if not image:
                raise missing_parameter(url)
            return _picture(image.get("url"), str(image.get("detail") or "auto"), f"{url}.url", "Invalid image URL: ")
        case "file":
            file = _object(part.get("file"))
            if not file:
                raise missing_parameter(f"{place}.file")
            if "file_data" not in file and "file_id" not in file:
                raise missing_parameter(f"{place}.file.file_id")
            return _document(file, f"{place}.file", "Invalid file data: ")
        case "input_audio" | "audio":
            raise ApiError(400, "This server takes no audio.", f"{place}.type", "unsupported_value")
        case kind:
            raise _unknown_type(kind, place, _CHAT_TYPES)


def _response_part(part: Json, place: str) -> Part:
    match part.get("type"):
        case "input_text" | "output_text" | "summary_text":
            return _text(part, "text", place)
        case "refusal":
            return _text(part, "refusal", place)
        case "input_image":
            url = part.get("image_url") or part.get("file_id")
            return _picture(url, str(part.get("detail") or "auto"), f"{place}.image_url", "Invalid ")
        case "input_file":
            if not any(part.get(name) for name in ("file_data", "file_id", "file_url")):
                raise missing_parameter(f"{place}.file_id")
            return _document(part, place, "Invalid file data: ")
        case kind:
            raise _unknown_type(kind, place, _RESPONSE_TYPES)


def _text(part: Json, name: str, place: str) -> str:
    text = part.get(name)
    if not isinstance(text, str):
        raise missing_parameter(f"{place}.{name}")
    return text


def _picture(url: object, detail: str, place: str, lead: str) -> Picture:
    if not isinstance(url, str) or not url:
        raise missing_parameter(place)
    if url.startswith(("https://", "http://", "file-")):
        return Picture(*UNSEEN, detail, 0)
    data = _decoded(url, "image/", place, f"{lead}'{place}'. Expected a base64-encoded data URL with {_IMAGE}")
    return Picture(*_size(data), detail, len(url))


def _size(data: bytes) -> tuple[int, int]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP")) as image:
            return image.size
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        raise ApiError(400, _NO_IMAGE, code="invalid_image_format") from None


def _document(file: Json, place: str, lead: str) -> Document:
    name, url = str(file.get("filename") or "document.pdf"), file.get("file_data")
    if not isinstance(url, str) or not url:
        return Document(name, (), 0)
    place = f"{place}.file_data"
    data = _decoded(url, "application/pdf", place, f"{lead}'{place}'. Expected a base64-encoded data URL with {_FILE}")
    return Document(name, _pages(data), len(url))


@lru_cache(maxsize=16)
def _pages(data: bytes) -> tuple[str, ...]:
    """Text of each page; kept, since many questions are asked about one document."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        if PDF in data[:1024]:
            return tuple(page.extract_text() for page in PdfReader(BytesIO(data)).pages)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        pass  # what pypdf throws at broken files is not only its own
    raise ApiError(400, "The file you uploaded is badly formatted or corrupted.", code="invalid_file")


def _decoded(url: str, kind: str, place: str, expected: str) -> bytes:
    """What a data URL holds."""

    def refused(why: str) -> ApiError:
        return ApiError(400, f"{expected}, but got {why}.", place, "invalid_value")

    if not url.startswith("data:"):
        raise refused("a value without the 'data:' prefix")
    header, _, encoded = url[:256].partition(",")
    media = header.removeprefix("data:").partition(";")[0]
    if not media.startswith(kind):
        raise refused(f"unsupported MIME type '{media}'")
    try:
        if not encoded or not header.endswith(";base64"):
            raise refused("an invalid base64-encoded value")
        return b64decode(url[len(header) + 1 :], validate=True)
    except (binascii.Error, ValueError):
        raise refused("an invalid base64-encoded value") from None


def _unknown_type(kind: object, place: str, allowed: Sequence[str]) -> ApiError:
    if kind is None:
        return missing_parameter(f"{place}.type")
    values = ", ".join(f"'{name}'" for name in allowed[:-1]) + f", and '{allowed[-1]}'"
    return ApiError(400, f"Invalid value: '{kind}'. Supported values are: {values}.", f"{place}.type", "invalid_value")


def _object(value: object) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}
