"""Webhooks: one that is signed, fresh and new has its batch looked at; any other is refused, logged without body."""

from __future__ import annotations

import base64
import json
import logging
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2
import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import must_list, poll
from batch_pipeline.ledger import meta
from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline.local_server.webhooks import signed
from batch_pipeline_tests.api.conftest import Client, with_issues

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, so").decode()
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "batch.completed",
    "created_at": 1719168000,
    "data": {"id": "batch_private"},
}
BODY = json.dumps(EVENT).encode()


@pytest.fixture
def hooked(serve: Callable[..., Client]) -> Client:
    """A server that takes webhooks."""
    return serve(openai_webhook_secret=SECRET)


def send(client: Client, headers: Mapping[str, str], body: bytes = BODY) -> httpx2.Response:
    with Client(client.url, token=None) as stranger:
        return stranger.http.post("/webhooks/openai", content=body, headers=dict(headers))


def now() -> int:
    return int(time.time())


def without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


GOOD = signed(SECRET, "wh_1", now(), BODY)
REFUSED: dict[str, tuple[Callable[[], Mapping[str, str]], bytes]] = {
    "another secret": (lambda: signed("another", "wh_1", now(), BODY), BODY),
    "another body": (lambda: signed(SECRET, "wh_1", now(), BODY), BODY + b" "),
    "another id": (lambda: {**signed(SECRET, "wh_1", now(), BODY), "webhook-id": "wh_2"}, BODY),
    "too old": (lambda: signed(SECRET, "wh_1", now() - 301, BODY), BODY),
    "from the future": (lambda: signed(SECRET, "wh_1", now() + 310, BODY), BODY),
    "no time": (lambda: {**signed(SECRET, "wh_1", now(), BODY), "webhook-timestamp": "nan"}, BODY),
    "no signature": (lambda: without(GOOD, "webhook-signature"), BODY),
    "no id": (lambda: without(GOOD, "webhook-id"), BODY),
    "a signature that is none": (lambda: {**GOOD, "webhook-signature": "v1,ü"}, BODY),
    "no JSON": (lambda: signed(SECRET, "wh_1", now(), b"batch_private"), b"batch_private"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_hold_is_refused_and_logged_without_its_body(
    hooked: Client, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "batch_pipeline")
    headers, body = REFUSED[what]
    encoded = {name: value.encode() for name, value in headers().items()}
    with Client(hooked.url, token=None) as stranger:
        reply = stranger.http.post("/webhooks/openai", content=body, headers=list(encoded.items()))  # pyright: ignore[reportArgumentType] - bytes that are no ASCII
    assert reply.status_code == 401
    assert reply.json()["type"].endswith(":webhook-refused")
    assert "a webhook was refused" in caplog.text
    assert "batch_private" not in caplog.text
    assert SECRET not in caplog.text


def test_a_replay_is_refused_and_what_is_sent_anew_is_known(hooked: Client, caplog: pytest.LogCaptureFixture) -> None:
    at = now()
    headers = signed(SECRET, "wh_7", at - 5, BODY)
    assert send(hooked, headers).json() == {"status": "taken"}
    replayed = send(hooked, headers)
    assert replayed.status_code == 409
    assert replayed.json()["type"].endswith(":webhook-replayed")
    assert "taken before (wh_7)" in caplog.text
    assert "batch_private" not in caplog.text
    assert send(hooked, signed(SECRET, "wh_7", at, BODY)).json() == {"status": "known"}


def test_an_event_of_something_else_is_passed_over(hooked: Client) -> None:
    for number, event in enumerate(({**EVENT, "type": "response.completed"}, {**EVENT, "data": {"id": 7}}, {}, [1])):
        body = json.dumps(event).encode()
        assert send(hooked, signed(SECRET, f"wh_{number}", now(), body), body).json() == {"status": "ignored"}


def test_without_a_secret_none_is_taken(client: Client) -> None:
    reply = send(client, GOOD)
    assert (reply.status_code, reply.json()["type"]) == (503, "urn:batch-pipeline:problem:no-webhooks")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_webhook_of_the_local_server_ends_a_job_that_is_polled_once_in_an_hour(
    serve: Callable[..., Client], make_pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    with_issues(make_pipeline(), tmp_path / "issues")
    port = free_port()
    # the address of each must be known to the other before it listens
    hooks = {"openai_webhook_secret": SECRET, "webhook_poll_seconds": 3_600}
    client = serve(local_url=f"http://127.0.0.1:{port}/v1", **hooks)
    told = f"{client.url}/webhooks/openai"
    options = LocalServerOptions(
        port=port, state_dir=tmp_path / "telling", seconds=0.5, webhook_url=told, webhook_secret=SECRET
    )
    with start(options):
        client.done(client.made(limit=1))  # the first listing is due at once
        job = client.made(limit=2, which="missing")
        assert client.done(job)["outcomes"] == {"answered": 2}


def test_with_webhooks_listings_are_seldom_and_a_cancel_does_not_wait_for_one(
    make_pipeline: Callable[..., Pipeline], server: RunningServer
) -> None:
    del server
    plain, hooked = make_pipeline(), make_pipeline(openai_webhook_secret=SECRET)
    with hooked.ledger.begin() as db:
        meta.stamp(db, "listed local", time.time())
        meta.stamp(db, "listed anthropic", time.time())
    assert must_list(plain, "local")
    assert not must_list(hooked, "local")
    assert must_list(hooked, "anthropic"), "it tells nobody"
    with hooked.ledger.begin() as db:
        meta.stamp(db, "listed local", time.time() - 901)
    assert must_list(hooked, "local")
    poll(hooked, "local")
