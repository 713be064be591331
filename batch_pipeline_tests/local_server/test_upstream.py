from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import orjson
import pytest

from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline_tests.local_server.account import Account, request_lines
from batch_pipeline_tests.local_server.messages_account import MessagesAccount, message_requests


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    with start(LocalServerOptions(port=0, state_dir=tmp_path_factory.mktemp("upstream"))) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: RunningServer) -> Generator[RunningServer]:
    options = LocalServerOptions(
        engine="upstream",
        port=0,
        state_dir=tmp_path_factory.mktemp("server"),
        upstream_url=upstream.url,
        upstream_key="key",
        concurrency=4,
    )
    with start(options) as running:
        yield running


@pytest.fixture
def behind(upstream: RunningServer) -> Generator[Account]:
    with Account(upstream, "key") as account:
        yield account
        account.order_instead()


def test_answers_of_the_upstream_are_the_rows(account: Account) -> None:
    batch = account.run(request_lines(20))
    assert (batch.status, batch.error_file_id) == ("completed", None)
    assert len(account.outcome(batch)) == 20
    body = orjson.loads(account.raw(batch.output_file_id).splitlines()[0])["response"]["body"]
    assert body["model"] == "gpt-6-luna-simulated"
    assert batch.usage
    assert batch.usage.input_tokens > 20


def test_errors_of_the_upstream_are_the_rows_and_nothing_is_tried_again(account: Account, behind: Account) -> None:
    behind.order(
        {"kind": "status", "on": "chat.create", "status": 429, "code": "rate_limit_exceeded", "times": 2},
        {"kind": "status", "on": "chat.create", "status": 503, "body": "<html>", "times": 1, "skip": 2},
        {"kind": "request_lost", "on": "chat.create", "skip": 3},
    )
    batch = account.run(request_lines(8))
    errors = account.rows(batch.error_file_id)
    assert sorted((row.status, row.code) for row in errors) == [
        (429, "rate_limit_exceeded"),
        (429, "rate_limit_exceeded"),
        (502, None),
        (503, None),
    ]
    assert len(account.rows(batch.output_file_id)) == 4


def test_an_upstream_that_is_not_there_fails_each_row(tmp_path: Path) -> None:
    options = LocalServerOptions(engine="upstream", port=0, state_dir=tmp_path, upstream_url="http://127.0.0.1:9/v1")
    with start(options) as server, Account(server, "key") as account:
        batch = account.run(request_lines(3))
        assert (batch.status, batch.output_file_id) == ("completed", None)
        assert {row.status for row in account.rows(batch.error_file_id)} == {502}
        assert "key" not in account.raw(batch.error_file_id).decode()


def test_a_realtime_request_is_passed_on(account: Account) -> None:
    said = account.client.responses.create(model="m", input="Hello")
    assert said.output_text.startswith("A simulated answer")


def test_a_message_is_asked_of_the_upstream_as_a_chat(server: RunningServer) -> None:
    with MessagesAccount(server, key="messages") as messages:
        batch = messages.run(message_requests(5))
        assert batch.request_counts.succeeded == 5
        row = messages.results(batch.id)["r1"].result
        assert row.type == "succeeded"
        assert row.message.model == "claude-haiku-5-5-simulated"
        assert row.message.usage.input_tokens > 0
