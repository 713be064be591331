"""`/v1/messages` and `/v1/messages/batches`."""

from __future__ import annotations

import hashlib
import time

from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from batch_pipeline.local_server import ids
from batch_pipeline.local_server.engines import Engine, Request, answer_one
from batch_pipeline.local_server.envelope import ApiError, json_answer
from batch_pipeline.local_server.faults import Faults, ListingLate
from batch_pipeline.local_server.lifecycle import Batches
from batch_pipeline.local_server.messages.envelope import as_message_error
from batch_pipeline.local_server.messages.requests import requests_in, write_lines
from batch_pipeline.local_server.messages.shown import as_message_batch
from batch_pipeline.local_server.records import BatchRecord
from batch_pipeline.local_server.routes.body import json_body
from batch_pipeline.local_server.routes.guard import Guard
from batch_pipeline.local_server.store import Page, Store
from batch_pipeline.wire.batch import BatchObject, RequestCounts
from batch_pipeline.wire.messages import MESSAGES

WINDOW = 86400
"""Seconds from creation to expiry."""
RESULTS_SECONDS = 29 * 86400
"""How long results are kept."""
LIMIT, MOST = 20, 1000
"""Entries of one page."""


class MessageRoutes:
    """Messages, now and in batches."""

    def __init__(self, store: Store, batches: Batches, engine: Engine, faults: Faults) -> None:
        self._store = store
        self._batches = batches
        self._engine = engine
        self._faults = faults

    def routes(self, guard: Guard) -> list[Route]:
        """The routes under `/v1`; faults know them by the names of OpenAI's."""
        one = "/messages/batches/{batch_id}"
        return [
            guard.route("POST", "/messages", "messages.create", self.message),
            guard.route("POST", "/messages/batches", "batches.create", self.create),
            guard.route("GET", "/messages/batches", "batches.list", self.list),
            guard.route("GET", one, "batches.get", self.get),
            guard.route("DELETE", one, "batches.delete", self.delete),
            guard.route("POST", f"{one}/cancel", "batches.cancel", self.cancel),
            guard.route("GET", f"{one}/results", "files.content", self.results),
        ]

    async def message(self, request: HttpRequest) -> Response:
        """One message, at once; streams are not offered."""
        answer = await answer_one(self._engine, Request("realtime", MESSAGES, await json_body(request)))
        usage = answer.usage
        self._store.book_realtime(usage.input_tokens, usage.cached_tokens, usage.output_tokens)
        body = answer.body if answer.status < 300 else as_message_error(answer.status, answer.body)
        return json_answer(body, answer.status)

    async def create(self, request: HttpRequest) -> Response:
        """Takes a batch in."""
        body = await request.body()
        requests = requests_in(body)
        created = time.time()
        late = self._faults.at_moment(ListingLate, "")
        record = BatchRecord(
            account=ids.account(request.headers),
            object=_new_batch(len(requests)),
            created=created,
            listed_at=created + late.seconds if late else 0.0,
            output_seconds=RESULTS_SECONDS,
            faults=self._faults.for_batch(""),
        )
        write_lines(requests, self._batches.input_of(record.id))
        with self._store.together():
            self._store.add_batch(record)
            first = {"custom_id": str(requests[0]["custom_id"])}
            self._store.enter_books(record, first, None, hashlib.sha256(body).hexdigest())
        answer = self._shown(request, record)
        self._batches.begin(record)
        return answer

    async def list(self, request: HttpRequest) -> Response:
        """One page, newest first: those after a batch are older, those before it newer."""
        asked = request.query_params
        limit = asked.get("limit", str(LIMIT))
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST:
            raise ApiError(400, f"limit: Input should be an integer from 1 to {MOST}")
        older = "before_id" not in asked
        page = Page(int(limit) + 1, asked.get("after_id") if older else asked["before_id"], newest_first=older)
        found = self._store.list_batches(ids.account(request.headers), page, MESSAGES)
        entries = found[: int(limit)] if older else found[: int(limit)][::-1]
        shown = [self._seen(request, self._batches.record(one.id) or one) for one in entries]
        return json_answer(
            {
                "data": shown,
                "has_more": len(found) > len(entries),
                "first_id": entries[0].id if entries else None,
                "last_id": entries[-1].id if entries else None,
            }
        )

    async def get(self, request: HttpRequest) -> Response:
        """One batch."""
        return self._shown(request, self._asked(request))

    async def cancel(self, request: HttpRequest) -> Response:
        """Lets a batch come to its end."""
        record = self._asked(request)
        if record.object.ended:  # Anthropic's words are not recorded
            raise ApiError(400, f"Batch {record.id} has ended and can't be canceled.")
        if record.object.status != "cancelling":
            self._batches.cancel(record)
        return self._shown(request, record)

    async def results(self, request: HttpRequest) -> Response:
        """The results of a batch that has ended."""
        record = self._asked(request)
        file_id = record.seen(time.time()).output_file_id
        if file_id is None or self._store.file(record.account, file_id) is None:
            raise ApiError(404, f"Results of batch {record.id} are not available.")
        return FileResponse(self._store.path_of(file_id), media_type="application/x-jsonl")

    async def delete(self, request: HttpRequest) -> Response:
        """Forgets a batch that has ended; the books keep it."""
        record = self._asked(request)
        if not record.object.ended:
            raise ApiError(400, f"Batch {record.id} is still processing: cancel it first.")
        if record.object.output_file_id:
            self._store.delete_file(record.object.output_file_id, time.time())
            self._store.forget_content(record.object.output_file_id)
        self._store.forget_batch(record.id)
        return json_answer({"id": record.id, "type": "message_batch_deleted"})

    def _asked(self, request: HttpRequest) -> BatchRecord:
        batch_id = str(request.path_params["batch_id"])
        record = self._store.batch(ids.account(request.headers), batch_id)
        if record is None or record.object.endpoint != MESSAGES:
            raise ApiError(404, f"No batch found with id {batch_id}.")
        return self._batches.record(batch_id) or record

    def _shown(self, request: HttpRequest, record: BatchRecord) -> Response:
        return json_answer(self._seen(request, record))

    def _seen(self, request: HttpRequest, record: BatchRecord) -> dict[str, object]:
        base_url = str(request.base_url).removesuffix("/").removesuffix("/v1")
        return as_message_batch(record, base_url, time.time()).model_dump(mode="json")


def _new_batch(requests: int) -> BatchObject:
    now = int(time.time())
    return BatchObject(
        id=ids.message_batch_id(),
        endpoint=MESSAGES,
        input_file_id="",
        status="in_progress",
        created_at=now,
        in_progress_at=now,
        expires_at=now + WINDOW,
        request_counts=RequestCounts(total=requests),
    )
