"""`POST /v1/files`: multipart, streamed to disk as it comes; a file is never whole in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from batch_pipeline.local_server.envelope import ApiError, missing_parameter
from batch_pipeline.local_server.store import owner_only

if TYPE_CHECKING:  # the name exists for type checkers only
    from python_multipart.multipart import MultipartCallbacks

MAX_UPLOAD_BYTES = 512 * 1024 * 1024
"""One file, whatever for (docs/wire-facts.md, 1.7)."""

INVALID_FORMAT = "Invalid file format for Batch API. Must be .jsonl"


@dataclass(slots=True)
class Upload:
    """What came: the form's fields, and the file's name, length and hash. Its content is at the path given."""

    fields: dict[str, str] = field(default_factory=dict[str, str])
    filename: str | None = None
    bytes: int = 0
    sha256: str = ""


async def receive_upload(request: Request, path: Path) -> Upload:
    """Reads the form; the part `file` goes to `path`.

    Raises:
        ApiError: Not multipart, no file, or a file too large.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if not boundary:
        raise missing_parameter("file")
    with open(path, "wb", opener=owner_only) as file:
        form = _Form(file)
        parser = MultipartParser(boundary, form.callbacks())
        try:
            async for chunk in request.stream():
                parser.write(chunk)
            parser.finalize()
        except FormParserError as error:
            raise ApiError(400, f"Could not parse multipart form: {error}") from error
    if form.upload.filename is None:
        raise missing_parameter("file")
    form.upload.sha256 = form.hash.hexdigest()
    return form.upload


def check_batch_input(path: Path, filename: str) -> None:
    """What the provider looks at when a file for a batch is uploaded: its name's ending, and its first line.

    Raises:
        ApiError: As recorded (docs/wire-facts.md, 1.4).
    """
    with path.open("rb") as file:
        first = file.readline()
    try:
        parsed = orjson.loads(first)
    except orjson.JSONDecodeError:
        parsed = None
    if not filename.endswith(".jsonl") or not isinstance(parsed, dict):
        raise ApiError(400, INVALID_FORMAT)


class _Form:
    """The parser's callbacks: one part after the other, its headers before its data."""

    def __init__(self, file: BinaryIO) -> None:
        self.upload = Upload()
        self.hash = hashlib.sha256()
        self._file = file
        self._header = self._value = b""
        self._name = b""
        self._is_file = False
        self._text = b""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._name = self._text = self._header = self._value = b""
        self._is_file = False

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._name = options.get(b"name", b"")
            if self._name == b"file" and b"filename" in options:
                self._is_file = True
                self.upload.filename = options[b"filename"].decode(errors="replace")
        self._header = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = data[start:end]
        if not self._is_file:
            self._text += part
            return
        self.upload.bytes += len(part)
        if self.upload.bytes > MAX_UPLOAD_BYTES:
            raise ApiError(413, f"File is too large: the maximum is {MAX_UPLOAD_BYTES} bytes.", "file")
        self._file.write(part)
        self.hash.update(part)

    def _end(self) -> None:
        if not self._is_file:
            self.upload.fields[self._name.decode()] = self._text.decode(errors="replace")
