"""A realtime endpoint that counts what it is asked at once, and answers when a test lets it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Said = tuple[int, dict[str, str], bytes]


def glad(_: dict[str, Any]) -> Said:
    """A chat that was answered: a label, and what it took."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"label": "glad"}'}}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "any", "choices": [choice], "usage": usage}
    return 200, {}, json.dumps(body, indent=2).encode()


@dataclass
class Endpoint:
    """What was asked, in order; `most` is how many requests were under way at once. `go` holds answers back."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    most: int = 0
    go: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)
    _under_way: int = 0

    def asked(self, body: dict[str, Any]) -> None:
        """A request came in."""
        with self.changed:
            self.bodies.append(body)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            self.changed.notify_all()

    def answered(self) -> None:
        """A request is to be answered."""
        with self.changed:
            self._under_way -= 1

    def wait_for(self, count: int, seconds: float = 30.0) -> None:
        """Returns once so many requests have come in."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.bodies) >= count, seconds), f"{len(self.bodies)} came"


@contextmanager
def endpoint(say: Callable[[dict[str, Any]], Said] = glad, *, held: bool = False) -> Generator[Endpoint]:
    """One that says what `say` makes of a body; `held`: nothing until a test sets `go`."""
    seen = Endpoint()
    if not held:
        seen.go.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.asked(body)
            seen.go.wait(30)
            status, headers, content = say(body)
            seen.answered()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
            """Nothing is to be printed."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that is gone is no error."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
        thread.start()
        seen.url = f"http://127.0.0.1:{server.server_port}/v1"
        try:
            yield seen
        finally:
            seen.go.set()
            server.shutdown()
            thread.join()
