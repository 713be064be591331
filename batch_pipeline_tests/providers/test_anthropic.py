from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from urllib.request import urlopen

import orjson
import pytest

from batch_pipeline.batches.requests.messages_form import message_line
from batch_pipeline.errors import FileGone, MissingKey, ProviderError, ProviderRefused, ProviderUnreachable
from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline.providers import http, provider_for
from batch_pipeline.providers.anthropic import AnthropicProvider
from batch_pipeline.providers.base import Created, Fenced, Refused, Unknown
from batch_pipeline.providers.inline import InlineRequests
from batch_pipeline.settings import Settings
from batch_pipeline.wire.batch import BatchObject
from batch_pipeline.wire.messages import MESSAGES, parse_result_line
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.providers.strangers import always, answering

KEY = "sk-ant-secret-0123456789abcdef"
CLAIM = "0123456789abcdef"
PARAMS: dict[str, object] = {"model": "simulated", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """One server for all: each test has a key, and so an account, of its own."""
    with start(LocalServerOptions(port=0, state_dir=tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture
def key() -> str:
    return f"sk-ant-secret-{token_hex(12)}"


@pytest.fixture
def provider(server: RunningServer, books: Books, key: str) -> Generator[AnthropicProvider]:
    made = AnthropicProvider(server.root, key, wait_seconds=0.0, recheck_seconds=0.0)
    yield made
    books.order()
    made.close()


@pytest.fixture
def requests(tmp_path: Path) -> InlineRequests:
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b"".join(message_line(f"r{n}".encode(), orjson.dumps(PARAMS)) for n in (1, 2)))
    return InlineRequests(path, CLAIM)


def create(provider: AnthropicProvider, requests: InlineRequests) -> Created | Refused | Unknown:
    return provider.create(requests, MESSAGES, {})


def created(provider: AnthropicProvider, requests: InlineRequests) -> BatchObject:
    made = create(provider, requests)
    assert isinstance(made, Created)
    return made.batch


def ended(provider: AnthropicProvider, remote_id: str) -> BatchObject:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        batch = provider.get(remote_id)
        assert batch is not None
        if batch.ended:
            return batch
        time.sleep(0.01)
    raise AssertionError("the batch did not end")


@contextmanager
def asking(url: str) -> Generator[AnthropicProvider]:
    made = AnthropicProvider(url, KEY, wait_seconds=0.0, recheck_seconds=0.0)
    try:
        yield made
    finally:
        made.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accounts(books: Books, provider: AnthropicProvider) -> list[dict[str, object]]:
    """What the server booked for this provider's key."""
    of_key = hashlib.sha256(provider._api_key.encode()).hexdigest()[:16]  # pyright: ignore[reportPrivateUsage] - to find it in the books
    return [batch for batch in books.batches if batch["account"] == of_key]


def test_a_batch_goes_its_way(
    provider: AnthropicProvider, books: Books, requests: InlineRequests, tmp_path: Path
) -> None:
    batch = created(provider, requests)
    assert (batch.endpoint, batch.metadata) == (MESSAGES, None)
    assert batch.request_counts is not None
    assert batch.request_counts.total == 2
    assert [each.id for each in provider.list(0.0).batches] == [batch.id]
    end = ended(provider, batch.id)
    assert provider.claim_of(end) == CLAIM[:8]
    size = provider.download(end.output_file_id or "", tmp_path / "got")
    raw = (tmp_path / "got").read_bytes()
    assert size == len(raw)
    lines = [parse_result_line(line) for line in raw.splitlines()]
    assert {line.custom_id for line in lines if line} == {"r1", "r2"}
    (booked,) = accounts(books, provider)
    assert booked["input_sha256"] == requests.sha256
    assert booked["metadata"] == {"custom_id": f"{CLAIM[:8]}-r1"}


class TestCreate:
    def test_a_lost_reply_is_unknown_and_nothing_is_sent_twice(
        self, provider: AnthropicProvider, books: Books, requests: InlineRequests
    ) -> None:
        books.order({"kind": "reply_lost", "on": "batches.create", "times": None})
        assert isinstance(create(provider, requests), Unknown)
        assert len(accounts(books, provider)) == 1

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 429])
    def test_a_refusal_in_the_providers_own_envelope_is_one(
        self, provider: AnthropicProvider, books: Books, requests: InlineRequests, status: int
    ) -> None:
        books.order({"kind": "status", "on": "batches.create", "status": status, "message": "why", "times": None})
        reply = create(provider, requests)
        assert isinstance(reply, Refused)
        assert (reply.status, reply.message, reply.stops_everything) == (status, "why", status in (401, 402, 403))
        with urlopen(f"{books.url.removesuffix('/v1')}/faults", timeout=10) as asked:
            assert json.load(asked)[0]["fired"] == 1

    @pytest.mark.parametrize(
        "fault", [{"status": 500}, {"status": 529}, {"status": 400, "body": "<html>proxy</html>"}, {"status": 409}]
    )
    def test_any_other_answer_is_unknown(
        self, provider: AnthropicProvider, books: Books, requests: InlineRequests, fault: dict[str, object]
    ) -> None:
        books.order({"kind": "status", "on": "batches.create", **fault})
        assert isinstance(create(provider, requests), Unknown)

    @pytest.mark.parametrize("body", [b"<html>Welcome</html>", b'{"hello":"world"}', b"[]", b"", b"null"])
    def test_a_reply_that_is_no_batch_is_unknown(self, requests: InlineRequests, body: bytes) -> None:
        with answering(always(body)) as (url, asked), asking(url.removesuffix("/v1")) as provider:
            assert isinstance(create(provider, requests), Unknown)
            assert asked == ["POST /v1/messages/batches"]

    def test_a_redirect_is_not_followed(self, requests: InlineRequests) -> None:
        def elsewhere(_: str) -> tuple[int, dict[str, str], bytes]:
            return 307, {"location": "/v1/elsewhere"}, b""

        with answering(elsewhere) as (url, asked), asking(url.removesuffix("/v1")) as provider:
            assert isinstance(create(provider, requests), Unknown)
            assert len(asked) == 1

    def test_a_connection_that_never_opened_is_a_refusal(self, requests: InlineRequests) -> None:
        with asking(f"http://127.0.0.1:{free_port()}") as provider:
            reply = create(provider, requests)
        assert isinstance(reply, Refused)
        assert reply.status is None


class TestListing:
    def test_it_pages_back_to_the_time_that_is_asked_for(
        self, provider: AnthropicProvider, requests: InlineRequests, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http, "PAGE", 2)
        made = [created(provider, requests).id for _ in range(5)]
        listing = provider.list(0.0)
        assert [batch.id for batch in listing.batches] == made[::-1]
        assert listing.whole
        assert provider.list(time.time() + 3600).batches == ()

    def test_a_failed_listing_is_no_empty_one(self, provider: AnthropicProvider, books: Books) -> None:
        books.order({"kind": "status", "on": "batches.list", "status": 404, "body": "gone fishing", "times": None})
        with pytest.raises(ProviderUnreachable):
            provider.list(0.0)


class TestClaim:
    def test_it_is_not_known_while_the_batch_runs(
        self, provider: AnthropicProvider, books: Books, requests: InlineRequests
    ) -> None:
        books.order({"kind": "slow", "stage": "in_progress", "seconds": 30})
        assert provider.claim_of(created(provider, requests)) is None

    def test_it_is_in_the_first_line_that_can_be_read(
        self, provider: AnthropicProvider, books: Books, requests: InlineRequests
    ) -> None:
        books.order({"kind": "lines", "damage": "garbled", "custom_id": "*-r1"})
        assert provider.claim_of(ended(provider, created(provider, requests).id)) == CLAIM[:8]

    def test_it_is_asked_for_once(self, provider: AnthropicProvider, books: Books, requests: InlineRequests) -> None:
        batch = ended(provider, created(provider, requests).id)
        assert provider.claim_of(batch) == CLAIM[:8]
        books.order({"kind": "status", "on": "files.content", "status": 404, "times": None})
        assert provider.claim_of(batch) == CLAIM[:8]

    def test_a_batch_without_results_names_none(
        self, provider: AnthropicProvider, requests: InlineRequests, tmp_path: Path
    ) -> None:
        batch = ended(provider, created(provider, requests).id)
        provider.delete_file(batch.id)
        with pytest.raises(ProviderError):
            provider.claim_of(batch)


class TestDownload:
    def test_fewer_lines_than_requests_may_be_a_download_that_was_cut_off(
        self, provider: AnthropicProvider, books: Books, requests: InlineRequests, tmp_path: Path
    ) -> None:
        batch = ended(provider, created(provider, requests).id)
        books.order({"kind": "content_cut", "share": 0.5})
        assert provider.download(batch.id, tmp_path / "got") is None
        assert provider.download(batch.id, tmp_path / "got") == (tmp_path / "got").stat().st_size

    def test_what_was_deleted_is_gone(
        self, provider: AnthropicProvider, requests: InlineRequests, tmp_path: Path
    ) -> None:
        batch = ended(provider, created(provider, requests).id)
        assert isinstance(provider.delete_file(batch.id), Fenced)
        assert isinstance(provider.delete_file(batch.id), Fenced)
        assert provider.get(batch.id) is None
        with pytest.raises(FileGone):
            provider.download(batch.id, tmp_path / "got")

    def test_results_that_are_archived_are_gone(self, requests: InlineRequests, tmp_path: Path) -> None:
        counts = {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0}
        told = {"processing_status": "ended", "type": "message_batch", "id": "msgbatch_1", "request_counts": counts}
        times = dict.fromkeys(("created_at", "expires_at", "ended_at", "archived_at"), "2026-01-01T00:00:00Z")
        with (
            answering(always(orjson.dumps(told | times | {"results_url": None}))) as (url, _),
            asking(url.removesuffix("/v1")) as provider,
        ):
            batch = provider.get("msgbatch_1")
            assert batch is not None
            assert batch.output_file_id == "msgbatch_1"
            assert provider.claim_of(batch) is None
            with pytest.raises(FileGone, match="no longer has the results"):
                provider.download("msgbatch_1", tmp_path / "got")


class TestCancel:
    def test_one_that_runs_is_cancelled_and_one_that_has_ended_is_not(
        self, provider: AnthropicProvider, books: Books, requests: InlineRequests
    ) -> None:
        books.order({"kind": "slow", "stage": "in_progress", "seconds": 30})
        batch = created(provider, requests)
        asked = provider.cancel(batch.id)
        assert asked is not None
        assert asked.status == "cancelling"
        assert ended(provider, batch.id).status in ("cancelled", "completed")  # what was done already stays done
        assert provider.cancel(batch.id) is None
        assert provider.cancel("msgbatch_unknown") is None

    def test_a_refused_cancel_of_one_that_runs_is_told(
        self, provider: AnthropicProvider, books: Books, requests: InlineRequests
    ) -> None:
        books.order(
            {"kind": "slow", "stage": "in_progress", "seconds": 30},
            {"kind": "status", "on": "batches.cancel", "status": 403, "times": None},
        )
        with pytest.raises(ProviderRefused, match="check its workspace"):
            provider.cancel(created(provider, requests).id)


class TestWhoAsks:
    def test_a_missing_key_is_told_with_both_ways_out(self) -> None:
        with pytest.raises(MissingKey, match="set ANTHROPIC_API_KEY, or leave BATCH_PIPELINE_PROVIDER unset"):
            provider_for("anthropic", Settings())

    def test_an_account_is_a_base_url_and_a_key(self) -> None:
        made = [
            provider_for("anthropic", keyed(**other))
            for other in ({}, {"ANTHROPIC_API_KEY": "another"}, {"ANTHROPIC_BASE_URL": "https://example.com"})
        ]
        assert len({each.account for each in made}) == 3
        assert (made[0].wait_seconds, made[0].recheck_seconds, made[0].takes_files) == (600.0, 3600.0, False)

    def test_the_key_is_in_no_message_and_in_no_repr(
        self, provider: AnthropicProvider, books: Books, requests: InlineRequests, tmp_path: Path, key: str
    ) -> None:
        batch = ended(provider, created(provider, requests).id)
        said = repr(provider)
        for status in (401, 500):
            fault = {"kind": "status", "status": status, "message": f"invalid x-api-key {key}"}
            books.order({**fault, "times": None, "headers": {"x-should-retry": "false"}})
            said += "".join(map(_what_it_says, _calls(provider, requests, batch, tmp_path)))
        assert "invalid x-api-key (the key)" in said
        assert "Check ANTHROPIC_API_KEY." in said
        assert key not in said


def _calls(
    provider: AnthropicProvider, requests: InlineRequests, batch: BatchObject, folder: Path
) -> Iterator[Callable[[], object]]:
    yield lambda: create(provider, requests)
    yield lambda: provider.list(0.0)
    yield lambda: provider.get(batch.id)
    yield lambda: provider.cancel(batch.id)
    yield lambda: provider.claim_of(batch)
    yield lambda: provider.download(batch.id, folder / "got")
    yield lambda: provider.delete_file(batch.id)


def _what_it_says(call: Callable[[], object]) -> str:
    try:
        return repr(call())
    except ProviderError as error:
        return f"{error} {error!r}"


def keyed(**environment: str) -> Settings:
    return Settings.model_validate({"ANTHROPIC_API_KEY": KEY, **environment})


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b'{"hello":"world"}', b"[]", b"", b"null"])
def test_a_base_url_that_is_not_the_protocol_is_named(body: bytes) -> None:
    with answering(always(body)) as (url, _), asking(url.removesuffix("/v1")) as provider:
        for call in (
            lambda: provider.list(0.0),
            lambda: provider.get("msgbatch_1"),
            lambda: provider.cancel("msgbatch_1"),
        ):
            with pytest.raises(ProviderUnreachable) as caught:
                call()
            assert url.removesuffix("/v1") in str(caught.value)
