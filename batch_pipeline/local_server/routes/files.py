"""`/v1/files`."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from batch_pipeline.local_server import ids
from batch_pipeline.local_server.envelope import (
    ApiError,
    invalid_type,
    invalid_value,
    json_answer,
    missing_parameter,
    no_such_file,
)
from batch_pipeline.local_server.faults import DeleteLate, Faults, FileLate
from batch_pipeline.local_server.records import FileRecord
from batch_pipeline.local_server.routes.guard import Guard
from batch_pipeline.local_server.routes.parameters import page_answer, page_asked
from batch_pipeline.local_server.store import Store
from batch_pipeline.local_server.uploads import Upload, check_batch_input, receive_upload
from batch_pipeline.wire.file import FileDeleted, FileObject

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
BATCH_FILE_SECONDS = 30 * 86400
SHORTEST, LONGEST = 3600, 2_592_000
"""Seconds that `expires_after` may ask for (docs/wire-facts.md, 1.7)."""


class FileRoutes:
    """Upload, list, look at, download and delete files."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def routes(self, guard: Guard) -> list[Route]:
        """The routes under `/v1`."""
        return [
            guard.route("POST", "/files", "files.create", self.create),
            guard.route("GET", "/files", "files.list", self.list),
            guard.route("GET", "/files/{file_id}", "files.get", self.get),
            guard.route("GET", "/files/{file_id}/content", "files.content", self.content),
            guard.route("DELETE", "/files/{file_id}", "files.delete", self.delete),
        ]

    async def create(self, request: Request) -> Response:
        """Takes an upload in."""
        file_id = ids.file_id()
        content = self._store.path_of(file_id)
        try:
            upload = await receive_upload(request, content)
            record = self._record(file_id, upload, ids.account(request.headers))
            if record.object.purpose == "batch":
                check_batch_input(content, record.object.filename)
        except BaseException:
            content.unlink(missing_ok=True)
            raise
        self._store.add_file(record)
        return json_answer(record.object.model_dump_json().encode())

    async def list(self, request: Request) -> Response:
        """One page of the account's files."""
        page = page_asked(request, most=10_000, default=10_000)
        found = self._store.list_files(ids.account(request.headers), page, request.query_params.get("purpose"))
        return page_answer([record.object for record in found], page)

    async def get(self, request: Request) -> Response:
        """One file's particulars."""
        return json_answer(self._asked(request).object.model_dump_json().encode())

    async def content(self, request: Request) -> Response:
        """One file's content."""
        file_id = self._asked(request).object.id
        return FileResponse(self._store.path_of(file_id), media_type="application/octet-stream")

    async def delete(self, request: Request) -> Response:
        """Deletes one file."""
        shown = self._asked(request).object
        late = self._faults.at_moment(DeleteLate, shown.filename)
        delay = late.seconds if late else 0.0
        self._store.delete_file(shown.id, time.time() + delay)
        asyncio.get_running_loop().call_later(delay, self._store.forget_content, shown.id)
        return json_answer(FileDeleted(id=shown.id, deleted=True).model_dump_json().encode())

    def _asked(self, request: Request) -> FileRecord:
        file_id = str(request.path_params["file_id"])
        record = self._store.file(ids.account(request.headers), file_id)
        if record is None:
            raise no_such_file(file_id)
        return record

    def _record(self, file_id: str, upload: Upload, account: str) -> FileRecord:
        purpose, now = upload.fields.get("purpose"), time.time()
        if purpose is None:
            raise missing_parameter("purpose")
        if purpose not in PURPOSES:
            raise invalid_value("purpose", purpose, PURPOSES)
        seconds = _lifetime(upload.fields) or (BATCH_FILE_SECONDS if purpose == "batch" else None)
        shown = FileObject(
            id=file_id,
            bytes=upload.bytes,
            created_at=int(now),
            expires_at=int(now) + seconds if seconds else None,
            filename=upload.filename or "",
            purpose=purpose,
        )
        late = self._faults.at_moment(FileLate, shown.filename)
        return FileRecord(account, shown, upload.sha256, visible_at=now + late.seconds if late else 0.0)


def _lifetime(fields: dict[str, str]) -> int | None:
    given = fields.get("expires_after[seconds]")
    return lifetime(int(given) if given and given.isdecimal() else given, "expires_after")


def lifetime(seconds: object, param: str) -> int | None:
    """The seconds of an `expires_after`, checked; None if there are none.

    Raises:
        ApiError: 400 for what is no number of seconds, or out of bounds.
    """
    name = f"{param}[seconds]"
    if seconds is None:
        return None
    if not isinstance(seconds, int):
        raise invalid_type(name, "an integer", seconds)
    if seconds < SHORTEST:
        words = f"Invalid '{name}': expected a value >= {SHORTEST}, but got {seconds} instead."
        raise ApiError(400, words, name, "integer_below_min_value")
    if seconds > LONGEST:
        words = f"Invalid '{name}': expected a value <= {LONGEST}, but got {seconds} instead."
        raise ApiError(400, words, name, "integer_above_max_value")
    return seconds
