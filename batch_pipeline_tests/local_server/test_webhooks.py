"""The local server's webhooks: as the official client verifies them, and sent until they arrive."""

from __future__ import annotations

import base64
from collections.abc import Generator
from pathlib import Path

import pytest
from openai import OpenAI
from openai.types.webhooks import BatchCancelledWebhookEvent, BatchCompletedWebhookEvent, BatchFailedWebhookEvent

from batch_pipeline.errors import UsageError
from batch_pipeline.local_server import LocalServerOptions, start
from batch_pipeline_tests.local_server.account import Account, request_lines
from batch_pipeline_tests.receiver import Receiver, receiver

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, so").decode()


@pytest.fixture
def hooks() -> Generator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def account(tmp_path: Path, hooks: Receiver) -> Generator[Account]:
    """An account at a server that sends webhooks."""
    options = LocalServerOptions(port=0, state_dir=tmp_path, webhook_url=hooks.url + "/in", webhook_secret=SECRET)
    with start(options) as server, Account(server, key="k") as fresh:
        yield fresh


def unwrapped(hooks: Receiver, secret: str = SECRET) -> object:
    came = hooks.next()
    with OpenAI(api_key="none") as client:
        return client.webhooks.unwrap(came.body, came.headers, secret=secret)


def test_a_completed_batch_is_told_as_the_official_client_reads_it(account: Account, hooks: Receiver) -> None:
    batch = account.run(request_lines(2))
    event = unwrapped(hooks)
    assert isinstance(event, BatchCompletedWebhookEvent)
    assert event.data.id == batch.id


def test_a_batch_that_fails_or_is_cancelled_is_told_too(account: Account, hooks: Receiver) -> None:
    account.run(2 * request_lines(1))
    assert isinstance(unwrapped(hooks), BatchFailedWebhookEvent)
    account.order({"kind": "slow", "stage": "validating", "seconds": 60})
    batch = account.create(account.upload(request_lines(1)))
    account.client.batches.cancel(batch.id)
    assert isinstance(unwrapped(hooks), BatchCancelledWebhookEvent)


@pytest.mark.parametrize("status", [500, 302])
def test_what_did_not_arrive_goes_again_under_the_same_id(account: Account, hooks: Receiver, status: int) -> None:
    hooks.statuses.append(status)
    account.run(request_lines(1))
    first, second = hooks.next(), hooks.next()
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


@pytest.mark.parametrize(
    ("url", "secret"), [("http://127.0.0.1:9", None), ("127.0.0.1:9", SECRET), ("http://127.0.0.1:9", "whsec_?")]
)
def test_what_can_not_be_sent_or_signed_is_refused_at_the_start(url: str, secret: str | None) -> None:
    with pytest.raises(UsageError):
        LocalServerOptions(webhook_url=url, webhook_secret=secret)
