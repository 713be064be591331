"""One account at a local server, by Anthropic's official client."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, cast

import anthropic
import httpx2
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse
from anthropic.types.messages.batch_create_params import Request

from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.local_server.account import LABEL, Json


def message_request(custom_id: str, **params: object) -> Request:
    """One good request."""
    asked: Json = {
        "model": "claude-haiku-5-5",
        "max_tokens": 20,
        "messages": [{"role": "user", "content": f"It crashes: {custom_id}"}],
        "output_config": {"format": {"type": "json_schema", "schema": LABEL}},
    }
    return cast(Request, {"custom_id": custom_id, "params": asked | params})


def message_requests(count: int) -> list[Request]:
    """So many good requests, `r1` and on."""
    return [message_request(f"r{number}") for number in range(1, count + 1)]


class MessagesAccount:
    """An account at a server."""

    def __init__(self, server: RunningServer, key: str) -> None:
        self.client = anthropic.Anthropic(base_url=server.root, api_key=key, max_retries=0)
        self.batches = self.client.messages.batches
        self.http = httpx2.Client(base_url=server.root, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()
        self.http.close()

    def run(self, requests: Sequence[Request]) -> MessageBatch:
        """A batch of these requests, at its end."""
        return self.ended(self.batches.create(requests=requests).id)

    def ended(self, batch_id: str) -> MessageBatch:
        """The batch, when it has come to its end."""
        return self.until(batch_id, lambda batch: batch.processing_status == "ended")

    def until(self, batch_id: str, reached: Callable[[MessageBatch], bool]) -> MessageBatch:
        """The batch, when it is as it is waited for."""
        deadline = time.monotonic() + 20
        while not reached(batch := self.batches.retrieve(batch_id)):
            assert time.monotonic() < deadline, f"still {batch.processing_status}"
            time.sleep(0.002)
        return batch

    def results(self, batch_id: str) -> dict[str, MessageBatchIndividualResponse]:
        """The results by `custom_id`; each is there once."""
        found = list(self.batches.results(batch_id))
        assert len({row.custom_id for row in found}) == len(found)
        return {row.custom_id: row for row in found}

    def order(self, *faults: Json) -> None:
        """Orders these faults and no others."""
        self.http.put("/faults", json=list(faults)).raise_for_status()

    def booked(self, batch_id: str) -> Json:
        """The books' entry of a batch."""
        entries = cast("list[Json]", cast(Json, self.http.get("/books").json())["batches"])
        return next(entry for entry in entries if entry["batch_id"] == batch_id)


def said(row: MessageBatchIndividualResponse) -> str:
    """The text of a row that succeeded."""
    assert row.result.type == "succeeded"
    (block,) = row.result.message.content
    assert block.type == "text"
    return block.text
