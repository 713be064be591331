"""One account at a local server: the official client, and what tests ask again and again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

import httpx2
import openai
import orjson
from openai.types import Batch

from batch_pipeline.local_server import RunningServer

Json = dict[str, object]

LABEL: Json = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["bug", "feature", "question"]}},
    "required": ["label"],
    "additionalProperties": False,
}
STRICT: Json = {"type": "json_schema", "json_schema": {"name": "kind", "strict": True, "schema": LABEL}}


def request_line(custom_id: str, text: str = "", model: str = "gpt-6-luna") -> Json:
    """One good line of an input file."""
    said = [{"role": "user", "content": text or f"It crashes: {custom_id}"}]
    body = {"model": model, "messages": said, "response_format": STRICT}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def request_lines(count: int) -> list[Json]:
    """So many good lines, `r1` and on."""
    return [request_line(f"r{number}") for number in range(1, count + 1)]


@dataclass(frozen=True)
class Row:
    """What a test looks at in a row of an output or error file."""

    custom_id: str
    status: int | None
    code: str | None
    text: str | None


class Account:
    """An account at a server."""

    def __init__(self, server: RunningServer, key: str) -> None:
        self.server = server
        self.client = openai.OpenAI(base_url=server.url, api_key=key, max_retries=0)
        self.http = httpx2.Client(base_url=server.root, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()
        self.http.close()

    def upload(self, lines: Iterable[Json | bytes], name: str = "requests.jsonl") -> str:
        """The id of an uploaded file."""
        raw = b"".join((line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n" for line in lines)
        return self.client.files.create(file=(name, raw), purpose="batch").id

    def create(self, file_id: str, metadata: dict[str, str] | None = None) -> Batch:
        """A new batch of a file."""
        return self.client.batches.create(
            input_file_id=file_id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata=metadata if metadata is not None else openai.omit,
        )

    def run(self, lines: Iterable[Json | bytes]) -> Batch:
        """A batch of these lines, at its end."""
        return self.ended(self.create(self.upload(lines)).id)

    def ended(self, batch_id: str) -> Batch:
        """The batch, when it has come to its end."""
        return self.until(batch_id, "completed", "failed", "expired", "cancelled")

    def until(self, batch_id: str, *statuses: str) -> Batch:
        """The batch, when it has one of these statuses."""
        deadline = time.monotonic() + 20
        while (batch := self.client.batches.retrieve(batch_id)).status not in statuses:
            assert time.monotonic() < deadline, f"still {batch.status}"
            time.sleep(0.002)
        return batch

    def raw(self, file_id: str | None) -> bytes:
        """A file's content; nothing for no file."""
        return self.client.files.content(file_id).content if file_id else b""

    def rows(self, file_id: str | None) -> list[Row]:
        """A file's rows."""
        return [_row(orjson.loads(line)) for line in self.raw(file_id).splitlines()]

    def outcome(self, batch: Batch) -> dict[str, Row]:
        """All rows of a batch by `custom_id`; each is in one file, once."""
        rows = self.rows(batch.output_file_id) + self.rows(batch.error_file_id)
        found = {row.custom_id: row for row in rows}
        assert len(found) == len(rows)
        return found

    def order(self, *faults: Json) -> None:
        """Orders more faults."""
        self.http.post("/faults", json=list(faults)).raise_for_status()

    def order_instead(self, *faults: Json) -> None:
        """Orders these faults and no others."""
        self.http.put("/faults", json=list(faults)).raise_for_status()

    def books(self) -> Json:
        """The server's books."""
        return cast(Json, self.http.get("/books").json())

    def booked(self, batch_id: str) -> Json:
        """The books' entry of a batch."""
        entries = cast("list[Json]", self.books()["batches"])
        return next(entry for entry in entries if entry["batch_id"] == batch_id)


def _row(line: Json) -> Row:
    response = cast("Json | None", line["response"])
    custom_id = cast(str, line["custom_id"])
    if response is None:
        return Row(custom_id, None, cast(Json, line["error"])["code"], None)  # type: ignore[arg-type]
    assert line["error"] is None
    status, body = cast(int, response["status_code"]), cast(Json, response["body"])
    if status >= 300:
        return Row(custom_id, status, cast("str | None", cast(Json, body["error"])["code"]), None)
    return Row(custom_id, status, None, _said(body))


def _said(body: Json) -> str | None:
    choice = cast("list[Json]", body["choices"])[0]
    message = cast(Json, choice["message"])
    return cast("str | None", message["content"] or message["refusal"])
