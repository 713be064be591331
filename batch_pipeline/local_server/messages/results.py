"""The rows of a batch of messages, as its one file of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import orjson

from batch_pipeline.local_server.messages.envelope import as_message_error
from batch_pipeline.local_server.store import owner_only

Json = dict[str, object]

_UNEXECUTED = {"batch_cancelled": "canceled", "batch_expired": "expired"}


def write_results(rows: Sequence[Path], results: Path) -> None:
    """Writes the rows of output and errors as results, in place of what is there; begun again after a kill."""
    with open(results, "wb", opener=owner_only) as file:
        for path in rows:
            if path.exists():
                file.writelines(_results(path))


def _results(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for raw in file:
            row = cast(Json, orjson.loads(raw))
            yield orjson.dumps({"custom_id": row["custom_id"], "result": _result(row)}) + b"\n"


def _result(row: Json) -> Json:
    response = cast("Json | None", row["response"])
    if response is None:
        return {"type": _UNEXECUTED[cast("dict[str, str]", row["error"])["code"]]}
    status, body = cast(int, response["status_code"]), response["body"]
    if status < 300:
        return {"type": "succeeded", "message": body}
    return {"type": "errored", "error": orjson.loads(as_message_error(status, orjson.dumps(body)))}
