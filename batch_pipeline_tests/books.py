"""The local server's books, and its faults, over HTTP."""

from __future__ import annotations

import json
import time
from typing import cast
from urllib.request import Request, urlopen

from batch_pipeline.local_server import RunningServer


class Books:
    """What the server says it did; no client can change it."""

    def __init__(self, server: RunningServer) -> None:
        self.url = server.url
        self._root = server.root

    @property
    def batches(self) -> list[dict[str, object]]:
        """All batches that were ever created."""
        return cast("list[dict[str, object]]", cast("dict[str, object]", self._ask("GET", "/books"))["batches"])

    @property
    def paid(self) -> list[dict[str, object]]:
        """Those of the batches that executed a line."""
        return [batch for batch in self.batches if batch["lines_executed"]]

    @property
    def lines_executed(self) -> int:
        """Lines over all batches."""
        return sum(cast(int, batch["lines_executed"]) for batch in self.batches)

    @property
    def files_kept(self) -> int:
        """Files that were uploaded or made, and not deleted."""
        files = cast("list[dict[str, object]]", cast("dict[str, object]", self._ask("GET", "/books"))["files"])
        return sum(file["deleted_at"] is None for file in files)

    def order(self, *faults: dict[str, object]) -> None:
        """Orders faults, in place of all that were ordered."""
        self._ask("PUT", "/faults", list(faults))

    def wait_until_struck(self, seconds: float = 60.0) -> None:
        """Returns once a fault that was ordered has struck."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            faults = cast("list[dict[str, int]]", self._ask("GET", "/faults"))
            if any(fault["fired"] for fault in faults):
                return
            time.sleep(0.01)
        raise AssertionError("no fault has struck")

    def _ask(self, method: str, path: str, body: object = None) -> object:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._root + path, data, {"content-type": "application/json"}, method=method)
        with urlopen(request, timeout=10) as reply:
            return json.loads(reply.read() or b"null")
