"""`/v1/batches`."""

from __future__ import annotations

import time
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batch_pipeline.local_server import ids
from batch_pipeline.local_server.envelope import (
    ApiError,
    invalid_type,
    invalid_value,
    json_answer,
    missing_parameter,
    no_such_batch,
)
from batch_pipeline.local_server.faults import Faults, ListingLate, MetadataDropped
from batch_pipeline.local_server.lifecycle import Batches
from batch_pipeline.local_server.records import BatchRecord
from batch_pipeline.local_server.routes.body import Json, json_body
from batch_pipeline.local_server.routes.files import BATCH_FILE_SECONDS, lifetime
from batch_pipeline.local_server.routes.guard import Guard
from batch_pipeline.local_server.routes.parameters import page_answer, page_asked
from batch_pipeline.local_server.store import Store
from batch_pipeline.wire.batch import BatchObject, RequestCounts, versioned
from batch_pipeline.wire.messages import MESSAGES

ENDPOINTS = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings")
"""The endpoints that the engines answer; the provider has more."""

WINDOW = 86400
"""Seconds from creation to expiry, on every batch (docs/wire-facts.md, 1.2)."""

MOST_PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
"""Of metadata (docs/wire-facts.md, 1.7)."""


class BatchRoutes:
    """Create, list, look at and cancel batches."""

    def __init__(self, store: Store, batches: Batches, faults: Faults) -> None:
        self._store = store
        self._batches = batches
        self._faults = faults

    def routes(self, guard: Guard) -> list[Route]:
        """The routes under `/v1`."""
        return [
            guard.route("POST", "/batches", "batches.create", self.create),
            guard.route("GET", "/batches", "batches.list", self.list),
            guard.route("GET", "/batches/{batch_id}", "batches.get", self.get),
            guard.route("POST", "/batches/{batch_id}/cancel", "batches.cancel", self.cancel),
        ]

    async def create(self, request: Request) -> Response:
        """Takes a batch in; what is wrong with its file comes out when it is validated."""
        asked = await json_body(request)
        account = ids.account(request.headers)
        metadata = _metadata(asked.get("metadata"))
        shown = _new_batch(asked, metadata)
        given = self._store.file(account, shown.input_file_id)
        name = given.object.filename if given else ""
        late = self._faults.at_moment(ListingLate, name)
        if self._faults.at_moment(MetadataDropped, name):
            shown.metadata = None
        created = time.time()
        record = BatchRecord(
            account=account,
            object=shown,
            created=created,
            listed_at=created + late.seconds if late else 0.0,
            output_seconds=_output_seconds(asked.get("output_expires_after")) or BATCH_FILE_SECONDS,
            faults=self._faults.for_batch(name),
        )
        with self._store.together():
            self._store.add_batch(record)
            self._store.enter_books(record, metadata, given)
        answer = json_answer(shown.model_dump_json().encode())
        self._batches.begin(record)
        return answer

    async def list(self, request: Request) -> Response:
        """One page of the account's batches, newest first."""
        page = page_asked(request, most=100, default=20)
        found = self._store.list_batches(ids.account(request.headers), page)
        now = time.time()
        return page_answer([(self._batches.record(one.id) or one).seen(now) for one in found], page)

    async def get(self, request: Request) -> Response:
        """One batch."""
        return self._shown(self._asked(request))

    async def cancel(self, request: Request) -> Response:
        """Lets a batch come to its end; 409 for one that has ended otherwise (docs/wire-facts.md, 1.3)."""
        record = self._asked(request)
        status = record.object.status
        if status in ("completed", "failed", "expired"):  # what an expired one answers is not recorded
            raise ApiError(409, f"Cannot cancel a batch with status '{status}'.")
        if status not in ("cancelling", "cancelled"):
            self._batches.cancel(record)
        return self._shown(record)

    def _asked(self, request: Request) -> BatchRecord:
        batch_id = str(request.path_params["batch_id"])
        record = self._store.batch(ids.account(request.headers), batch_id)
        if record is None or record.object.endpoint == MESSAGES:
            raise no_such_batch(batch_id)
        return self._batches.record(batch_id) or record

    def _shown(self, record: BatchRecord) -> Response:
        return json_answer(record.seen(time.time()).model_dump_json().encode())


def _new_batch(asked: Json, metadata: dict[str, str] | None) -> BatchObject:
    endpoint, window = _text(asked, "endpoint"), _text(asked, "completion_window")
    if versioned(endpoint) not in ENDPOINTS:
        raise invalid_value("endpoint", endpoint, ENDPOINTS)
    if window != "24h":
        raise invalid_value("completion_window", window, ("24h",))
    now = int(time.time())
    return BatchObject(
        id=ids.batch_id(),
        endpoint=endpoint,
        input_file_id=_text(asked, "input_file_id"),
        completion_window=window,
        status="validating",
        created_at=now,
        expires_at=now + WINDOW,
        request_counts=RequestCounts(),
        metadata=metadata,
    )


def _text(asked: Json, name: str) -> str:
    value = asked.get(name)
    if value is None:
        raise missing_parameter(name)
    if not isinstance(value, str):
        raise invalid_type(name, "a string", value)
    return value


def _metadata(given: object) -> dict[str, str] | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise invalid_type("metadata", "an object", given)
    pairs = cast(Json, given)
    if len(pairs) > MOST_PAIRS:
        words = f"Invalid 'metadata': too many properties. Expected an object with at most {MOST_PAIRS} properties."
        raise ApiError(400, words, "metadata", "object_above_max_properties")
    return {_key(key): _value(key, value) for key, value in pairs.items()}


def _key(key: str) -> str:
    if len(key) > LONGEST_KEY:
        words = f"Invalid 'metadata': a key is longer than {LONGEST_KEY} characters."
        raise ApiError(400, words, "metadata", "string_above_max_length")
    return key


def _value(key: str, value: object) -> str:
    param = f"metadata.{key}"
    if not isinstance(value, str):
        raise invalid_type(param, "a string", value)
    if len(value) > LONGEST_VALUE:
        words = f"Invalid '{param}': string too long. Expected a string with maximum length {LONGEST_VALUE}."
        raise ApiError(400, words, param, "string_above_max_length")
    return value


def _output_seconds(given: object) -> int | None:
    return lifetime(cast(Json, given).get("seconds"), "output_expires_after") if isinstance(given, dict) else None
