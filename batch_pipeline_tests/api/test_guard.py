"""The token, the size of a request, and the form of every refusal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from batch_pipeline.api import ServeOptions
from batch_pipeline.api.guard import MOST_BYTES
from batch_pipeline.api.server import token_for
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import UsageError
from batch_pipeline_tests.api.conftest import TOKEN, Client, served

PATHS = ("/api/batch", "/api/tasks", "/api/cost", "/metrics", "/api/nowhere")


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ü"])
def test_whoever_has_not_the_token_is_told_nothing(client: Client, given: str | None) -> None:
    headers = [] if given is None else [(b"authorization", given.encode())]
    with Client(client.url, token=None) as stranger:
        for path in PATHS:
            reply = stranger.http.get(path, headers=headers)
            assert reply.status_code == 401, path
            assert reply.headers["content-type"] == "application/problem+json"
            assert reply.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in reply.text


def test_the_token_may_be_written_with_any_case_of_its_scheme(client: Client) -> None:
    assert client.http.get("/api/tasks", headers={"authorization": f"bearer {TOKEN}"}).status_code == 200


def test_a_body_is_not_read_of_whoever_has_not_the_token(client: Client) -> None:
    with Client(client.url, token=None) as stranger:
        assert stranger.http.post("/api/batch/create", content=b"no JSON").status_code == 401


@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_that_is_too_large_is_refused(client: Client, *, chunked: bool) -> None:
    body = b'{"task": "issue_kind", "sql": "' + b"x" * MOST_BYTES + b'"}'

    def pieces() -> Iterator[bytes]:
        yield from (body[start : start + 65_536] for start in range(0, len(body), 65_536))

    reply = client.http.post(
        "/api/batch/create", content=pieces() if chunked else body, headers={"content-type": "application/json"}
    )
    assert reply.status_code == 413
    assert reply.json()["type"].endswith(":too-large")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/api/batch/none", 404, "unknown-job"),
        ("GET", "/api/batch/none/results", 404, "unknown-job"),
        ("POST", "/api/batch/none/cancel", 404, "unknown-job"),
        ("DELETE", "/api/batch/schedule/none", 404, "unknown-schedule"),
        ("DELETE", "/api/batch", 405, "method"),
        ("GET", "/api/batch?limit=0", 422, "invalid"),
        ("GET", "/api/batch?cursor=x", 422, "invalid"),
        ("POST", "/api/batch/create", 422, "invalid"),
    ],
)
def test_every_refusal_is_a_problem(client: Client, method: str, path: str, status: int, kind: str) -> None:
    reply = client.http.request(method, path)
    told = reply.json()
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.status_code, told["status"]) == (status, status)
    assert told["type"] == f"urn:batch-pipeline:problem:{kind}"
    assert told["title"]
    assert told["detail"].endswith(".")


def test_a_method_that_is_not_allowed_is_told_which_ones_are(client: Client) -> None:
    assert client.http.put("/api/batch/schedule").headers["allow"] == "GET, POST"


def test_without_a_token_it_serves_on_loopback_only_and_only_when_asked_to(pipeline: Pipeline) -> None:
    with pytest.raises(UsageError, match="BATCH_PIPELINE_API_TOKEN"):
        token_for(pipeline, ServeOptions())
    with pytest.raises(UsageError, match="loopback"):
        token_for(pipeline, ServeOptions(host="0.0.0.0", insecure=True))
    with pytest.raises(UsageError, match="loopback"):
        token_for(pipeline, ServeOptions(host="example.org", insecure=True))
    with served(pipeline, insecure=True) as client, Client(client.url, token=None) as stranger:
        assert stranger.http.get("/api/batch").status_code == 200
