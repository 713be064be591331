"""A server that takes what is sent to it, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request; `headers` in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was sent
        """Its body, read as JSON."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers with the next of `statuses`, and 200 where there is none."""

    url: str
    statuses: list[int] = field(default_factory=list[int])
    queue: Queue[Received] = field(default_factory=Queue[Received])

    def next(self, seconds: float = 10.0) -> Received:
        """What came next; waits for it."""
        return self.queue.get(timeout=seconds)

    def all(self) -> list[Received]:
        """Everything that has come and was not asked for yet."""
        return [self.queue.get_nowait() for _ in range(self.queue.qsize())]


@contextmanager
def receiver() -> Generator[Receiver]:
    """A receiver on a free port of this machine."""
    made = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.queue.put(Received(self.path, headers, body))
            self.send_response(made.statuses.pop(0) if made.statuses else 200)
            self.send_header("location", made.url)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
