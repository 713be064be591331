"""A server of the REST API over a pipeline with a few issues, at a local server; and a client that has the token."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest

from batch_pipeline.api import ServeOptions, start
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.local_server import RunningServer
from batch_pipeline.settings import Settings
from batch_pipeline.sources.files import load_issues
from batch_pipeline_tests.cli.conftest import command, offline, settings

TOKEN = "a-token-of-the-tests"
ISSUES = 6

Json = dict[str, Any]


def issue(number: int, state: str = "open") -> Json:
    """An issue as a file has it."""
    return {
        "repo": "acme/orbit",
        "number": number,
        "title": f"It crashes, for the {number}th time",
        "body": f"Number {number}.",
        "state": state,
        "labels": [],
        "created_at": f"2026-11-0{number}T00:00:00Z",
        "updated_at": "2026-11-10T00:00:00Z",
    }


def with_issues(pipeline: Pipeline, folder: Path, count: int = ISSUES) -> Pipeline:
    """The pipeline, with so many issues in its warehouse."""
    import json

    folder.mkdir(exist_ok=True)
    file = folder / "issues.jsonl"
    file.write_text("".join(json.dumps(issue(number)) + "\n" for number in range(1, count + 1)), encoding="utf-8")
    loaded = load_issues(pipeline.warehouse, [str(file)], date(2026, 11, 20))
    assert len(loaded.record_ids) == count, loaded
    return pipeline


class Client:
    """Asks a server, with the token unless it is told otherwise."""

    def __init__(self, url: str, token: str | None = TOKEN) -> None:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self.url = url
        self.http = httpx2.Client(base_url=url, headers=headers, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str, **parameters: object) -> Json:
        """What a GET gives; it must work."""
        reply = self.http.get(path, params=parameters or None)  # pyright: ignore[reportArgumentType] - plain values
        assert reply.status_code == 200, reply.text
        return reply.json()

    def create(self, key: str | None = None, **asked: Any) -> httpx2.Response:  # noqa: ANN401 - fields of an order
        """An order for issues' kinds, with what is given."""
        headers = {} if key is None else {"idempotency-key": key}
        return self.http.post("/api/batch/create", json={"task": "issue_kind", **asked}, headers=headers)

    def made(self, **asked: Any) -> str:  # noqa: ANN401 - fields of an order
        """The id of a new job."""
        reply = self.create(**asked)
        assert reply.status_code == 202, reply.text
        return reply.json()["job_id"]

    def until(self, job_id: str, *states: str, seconds: float = 20.0) -> Json:
        """Where a job stands, when it is in one of these states."""
        deadline = time.monotonic() + seconds
        while (now := self.get(f"/api/batch/{job_id}"))["state"] not in states:
            assert time.monotonic() < deadline, now
            time.sleep(0.05)
        return now

    def done(self, job_id: str) -> Json:
        """Where a job stands, when it is done."""
        return self.until(job_id, "done")


@contextmanager
def served(pipeline: Pipeline, **options: Any) -> Generator[Client]:  # noqa: ANN401 - options of a server
    """A server over a pipeline, and a client."""
    with start(pipeline, ServeOptions(port=0, **options)) as serving, Client(serving.url) as client:
        yield client


@pytest.fixture
def serve(tmp_path: Path, server: RunningServer) -> Generator[Callable[..., Client]]:
    """Starts a server over the data of the test, with settings of one's own; the options of a server apart."""
    with ExitStack() as stack:

        def begin(*, works: bool = True, **settings: object) -> Client:
            values = {"local_url": server.url, "data_dir": tmp_path / "data", "create_wait_seconds": 0.0}
            pipeline = Pipeline(Settings.model_validate({**values, "api_token": TOKEN, **settings}))
            stack.callback(pipeline.close)
            return stack.enter_context(served(pipeline, works=works))

        yield begin


@pytest.fixture
def client(serve: Callable[..., Client], pipeline: Pipeline, tmp_path: Path) -> Client:
    """A client of a server with a few issues."""
    with_issues(pipeline, tmp_path / "issues")
    return serve()


__all__ = ["command", "offline", "settings"]
