"""One request, asked at once: what came of it is the line that a batch's output would have."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from batch_pipeline.batches.outcomes.judging import judge, validator
from batch_pipeline.errors import ProviderRefused, ProviderUnreachable
from batch_pipeline.local_server import RunningServer
from batch_pipeline.providers import Provider
from batch_pipeline.providers.anthropic import AnthropicProvider
from batch_pipeline.providers.openai import OpenAIProvider
from batch_pipeline.wire.lines import OutputLine, parse_output_line
from batch_pipeline.wire.messages import MESSAGES, parse_result_line
from batch_pipeline.wire.replies import read_embeddings
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.endpoint import Said, endpoint

KEY = "sk-secret-0123456789abcdef"
CHAT = "/v1/chat/completions"
ASKED: dict[str, Any] = {"model": "simulated", "messages": [{"role": "user", "content": "Hello"}]}
LINE = orjson.dumps({"custom_id": "deadbeef-r1", "method": "POST", "url": CHAT, "body": ASKED})
MESSAGE = orjson.dumps({"custom_id": "deadbeef-r1", "params": ASKED | {"max_tokens": 20}})


@contextmanager
def openai_at(url: str) -> Generator[OpenAIProvider]:
    made = OpenAIProvider("openai", url, KEY, wait_seconds=0.0, recheck_seconds=0.0)
    yield made
    made.close()


@contextmanager
def anthropic_at(url: str) -> Generator[AnthropicProvider]:
    made = AnthropicProvider(url.removesuffix("/v1"), KEY, wait_seconds=0.0, recheck_seconds=0.0)
    yield made
    made.close()


def of_openai(provider: Provider) -> OutputLine:
    line = parse_output_line(provider.answer(LINE))
    assert line is not None
    return line


def of_anthropic(provider: Provider) -> OutputLine:
    line = parse_result_line(provider.answer(MESSAGE))
    assert line is not None
    return line


BOTH = pytest.mark.parametrize(("at", "ask"), [(openai_at, of_openai), (anthropic_at, of_anthropic)])
At = Callable[[str], Any]
Ask = Callable[[Provider], OutputLine]


@BOTH
def test_an_answer_is_a_line_that_the_collection_reads(server: RunningServer, at: At, ask: Ask) -> None:
    with at(server.url) as provider:
        line = ask(provider)
    assert (line.custom_id, line.status_code) == ("deadbeef-r1", 200)
    endpoint_of = CHAT if ask is of_openai else MESSAGES
    result = judge(line, endpoint_of, validator(None))
    assert result.outcome == "answered"
    assert result.usage.output_tokens > 0


def test_embeddings_come_as_they_are(server: RunningServer) -> None:
    body = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 4, "encoding_format": "base64"}
    asked = orjson.dumps({"custom_id": "r1", "method": "POST", "url": "/v1/embeddings", "body": body})
    with openai_at(server.url) as provider:
        line = parse_output_line(provider.answer(asked))
    assert line is not None
    vectors, _ = read_embeddings(line.body)
    assert [len(str(vector)) for vector in vectors.values()] == [24, 24]


def saying(status: int, body: object, **headers: str) -> Callable[[dict[str, Any]], Said]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: (status, told, content)


def error(kind: str, message: str = "no", code: str | None = None) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message, "param": None, "code": code}}


@BOTH
def test_what_passes_is_asked_again_a_few_times_and_goes_again_later(at: At, ask: Ask) -> None:
    with endpoint(saying(429, error("rate_limit_error"), retry_after_ms="1")) as there, at(there.url) as provider:
        line = ask(provider)
        assert len(there.bodies) == 3
    assert judge(line, CHAT, validator(None)).outcome == "retryable"


@BOTH
def test_a_rate_limit_that_passes_in_time_costs_nothing(server: RunningServer, books: Books, at: At, ask: Ask) -> None:
    fault = {"kind": "status", "on": ["chat.create", "messages.create"], "status": 429}
    books.order({**fault, "headers": {"retry-after-ms": "1"}, "times": 2})
    with at(server.url) as provider:
        assert ask(provider).status_code == 200


@BOTH
@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, error("invalid_request_error", f"bad key {KEY}"), "failed"),
        (502, b"<html>Bad gateway</html>", "retryable"),
        (500, error("api_error"), "retryable"),
        (200, b"<html>Welcome</html>", "retryable"),
    ],
)
def test_an_error_is_a_row_without_the_key_in_it(at: At, ask: Ask, status: int, body: object, outcome: str) -> None:
    headers = {"x-should-retry": "false"}
    with endpoint(saying(status, body, **headers)) as there, at(there.url) as provider:
        line = ask(provider)
    assert judge(line, CHAT, validator(None)).outcome == outcome
    assert KEY not in str(line)


@BOTH
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, error("authentication_error")),
        (403, error("permission_error")),
        (429, error("insufficient_quota", code="insufficient_quota")),
        (404, b"<html>No such page</html>"),
    ],
)
def test_what_every_request_would_meet_stops_all(at: At, ask: Ask, status: int, body: object) -> None:
    headers = {"x-should-retry": "false"}
    with (
        endpoint(saying(status, body, **headers)) as there,
        at(there.url) as provider,
        pytest.raises((ProviderRefused, ProviderUnreachable)),
    ):
        ask(provider)


@BOTH
def test_a_connection_that_never_opened_stops_all_and_a_lost_one_is_a_row(
    server: RunningServer, books: Books, at: At, ask: Ask
) -> None:
    with at("http://127.0.0.1:9/v1") as provider, pytest.raises(ProviderUnreachable):
        ask(provider)
    books.order({"kind": "reply_lost", "on": ["chat.create", "messages.create"], "times": None})
    with at(server.url) as provider:
        assert judge(ask(provider), CHAT, validator(None)).outcome == "retryable"


def test_flex_is_asked_for_where_it_is_wanted() -> None:
    with endpoint() as there, openai_at(there.url) as provider:
        provider.answer(LINE)
        provider.answer(LINE, flex=True)
        assert there.bodies == [ASKED, ASKED | {"service_tier": "flex"}]
