from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from urllib.request import urlopen

import orjson
import pytest

from batch_pipeline.errors import FileGone, MissingKey, ProviderError, ProviderRefused, ProviderUnreachable
from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline.providers import provider_for
from batch_pipeline.providers.base import Created, Fenced, NotFenced, Refused, Unknown
from batch_pipeline.providers.openai import OpenAIProvider
from batch_pipeline.settings import Settings
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.providers.strangers import always, answering

KEY = "sk-secret-0123456789abcdef"
CHAT = "/v1/chat/completions"
EVERY_CREATE: dict[str, object] = {"on": "batches.create", "times": None}
LINE = {
    "custom_id": "r1",
    "method": "POST",
    "url": CHAT,
    "body": {"model": "simulated", "messages": [{"role": "user", "content": "Hello"}]},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """One server for all: each test has a key, and so an account, of its own."""
    with start(LocalServerOptions(port=0, state_dir=tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture
def key() -> str:
    return f"sk-secret-{token_hex(12)}"


@pytest.fixture
def provider(server: RunningServer, books: Books, key: str) -> Generator[OpenAIProvider]:
    made = OpenAIProvider("openai", server.url, key, wait_seconds=0.0, recheck_seconds=0.0)
    yield made
    books.order()
    made.close()


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl"
    path.write_bytes(orjson.dumps(LINE) + b"\n")
    return path


@pytest.fixture
def file_id(provider: OpenAIProvider, requests: Path) -> str:
    return provider.upload(requests, "mine.jsonl").file_id


def create(provider: OpenAIProvider, file_id: str) -> Created | Refused | Unknown:
    return provider.create(file_id, CHAT, {"claim": "c1"})


def created(provider: OpenAIProvider, file_id: str) -> str:
    made = create(provider, file_id)
    assert isinstance(made, Created)
    return made.batch.id


@pytest.fixture
def struck(server: RunningServer) -> Callable[[], int]:
    """How often the one fault that is ordered struck: with `times: null`, how many requests came."""

    def ask() -> int:
        with urlopen(f"{server.root}/faults", timeout=10) as reply:
            (fault,) = json.load(reply)
        return fault["fired"]

    return ask


def of_file(books: Books, file_id: str) -> list[dict[str, object]]:
    return [batch for batch in books.batches if batch["input_file_id"] == file_id]


def ended(provider: OpenAIProvider, remote_id: str) -> str:
    """Follows a batch to its end, and gives its output file."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        batch = provider.get(remote_id)
        assert batch is not None
        if batch.ended:
            return batch.output_file_id or ""
        time.sleep(0.01)
    raise AssertionError("the batch did not end")


def accept_and_close(listener: socket.socket) -> None:
    listener.accept()[0].close()


@contextmanager
def asking(url: str) -> Generator[OpenAIProvider]:
    made = OpenAIProvider("openai", url, KEY, wait_seconds=0.0, recheck_seconds=0.0)
    try:
        yield made
    finally:
        made.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_batch_goes_its_way(provider: OpenAIProvider, requests: Path, tmp_path: Path) -> None:
    uploaded = provider.upload(requests, "mine.jsonl")
    assert uploaded.bytes == requests.stat().st_size
    assert abs(uploaded.uploaded_at - time.time()) < 5
    made = create(provider, uploaded.file_id)
    assert isinstance(made, Created)
    assert (made.batch.input_file_id, made.batch.metadata) == (uploaded.file_id, {"claim": "c1"})
    output = ended(provider, made.batch.id)
    told = provider.download(output, tmp_path / "output.jsonl")
    assert told == (tmp_path / "output.jsonl").stat().st_size
    assert json.loads((tmp_path / "output.jsonl").read_text())["custom_id"] == "r1"
    assert [batch.id for batch in provider.list(0.0).batches] == [made.batch.id]
    assert isinstance(provider.delete_file(uploaded.file_id), Fenced)


def test_a_repeated_upload_sends_the_whole_file(provider: OpenAIProvider, books: Books, requests: Path) -> None:
    books.order({"kind": "status", "on": "files.create", "status": 500, "headers": {"retry-after-ms": "1"}})
    assert provider.upload(requests, "mine.jsonl").bytes == requests.stat().st_size


class TestCreate:
    """Each way in which a create can end; exactly one POST leaves, whichever."""

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, "invalid_value"),
            (401, "invalid_api_key"),
            (403, None),
            (404, None),
            (413, None),
            (422, None),
            (429, "rate_limit_exceeded"),
            (400, "billing_hard_limit_reached"),
        ],
    )
    def test_a_refusal_in_the_providers_own_envelope_is_a_refusal(
        self,
        provider: OpenAIProvider,
        books: Books,
        struck: Callable[[], int],
        file_id: str,
        status: int,
        code: str | None,
    ) -> None:
        books.order({**EVERY_CREATE, "kind": "status", "status": status, "code": code, "message": "No."})
        reply = create(provider, file_id)
        assert isinstance(reply, Refused)
        assert (reply.status, reply.message) == (status, "No.")
        assert code is None or reply.code == code
        assert reply.stops_everything is (status in (401, 403) or code == "billing_hard_limit_reached")
        assert struck() == 1
        assert of_file(books, file_id) == []

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "status", "status": 500},
            {"kind": "status", "status": 503, "headers": {"x-should-retry": "true", "retry-after-ms": "1"}},
            {"kind": "status", "status": 408},
            {"kind": "status", "status": 409},
            {"kind": "status", "status": 429, "body": "<html>Slow down</html>"},
            {"kind": "status", "status": 400, "body": "<html>Bad request</html>"},
            {"kind": "status", "status": 404, "body": {"detail": "Not Found"}},
            {"kind": "status", "status": 502, "body": "<html>Bad gateway</html>"},
            {"kind": "status", "status": 200, "body": "<html>Welcome</html>"},
            {"kind": "status", "status": 200, "body": {"ok": True}},
            {"kind": "status", "status": 200, "body": [1]},
            {"kind": "status", "status": 200, "body": {"id": "batch_1", "object": "batch", "status": "dancing"}},
            {"kind": "status", "status": 307, "headers": {"location": "/v1/batches"}},
            {"kind": "status", "status": 303, "headers": {"location": "/v1/batches"}},
            {"kind": "request_lost"},
        ],
    )
    def test_whatever_else_is_said_is_unknown(
        self,
        provider: OpenAIProvider,
        books: Books,
        struck: Callable[[], int],
        file_id: str,
        fault: dict[str, object],
    ) -> None:
        books.order({**EVERY_CREATE, **fault})
        assert isinstance(create(provider, file_id), Unknown)
        assert struck() == 1
        assert of_file(books, file_id) == []

    def test_a_reply_that_is_lost_is_unknown_and_the_batch_is_there_once(
        self, provider: OpenAIProvider, books: Books, struck: Callable[[], int], file_id: str
    ) -> None:
        books.order({**EVERY_CREATE, "kind": "reply_lost"})
        assert isinstance(create(provider, file_id), Unknown)
        assert struck() == 1
        assert len(of_file(books, file_id)) == 1

    def test_a_connection_that_never_opened_is_a_refusal(self) -> None:
        with asking(f"http://127.0.0.1:{free_port()}/v1") as provider:
            reply = create(provider, "file-1")
        assert isinstance(reply, Refused)
        assert reply.status is None
        assert "can't be reached" in reply.message
        assert not reply.stops_everything

    def test_a_connection_that_opened_and_closed_is_unknown(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            closer = threading.Thread(target=accept_and_close, args=[listener])
            closer.start()
            with asking(f"http://127.0.0.1:{listener.getsockname()[1]}/v1") as provider:
                assert isinstance(create(provider, "file-1"), Unknown)
            closer.join()

    def test_a_redirect_to_another_server_is_not_followed(self, server: RunningServer, books: Books) -> None:
        with (
            answering(lambda path: (307, {"location": server.root + path}, b"")) as (url, asked),
            asking(url) as provider,
        ):
            assert isinstance(create(provider, "file-1"), Unknown)
        assert asked == ["POST /v1/batches"]
        assert of_file(books, "file-1") == []


class TestList:
    def test_it_pages_back_through_all_batches(self, provider: OpenAIProvider, books: Books, file_id: str) -> None:
        books.order({"kind": "slow", "stage": "validating", "seconds": 60, "times": None})
        made = [created(provider, file_id) for _ in range(103)]
        listing = provider.list(0.0)
        assert [batch.id for batch in listing.batches] == made[::-1]
        assert listing.whole
        assert abs(listing.begun - time.time()) < 5

    def test_it_ends_at_a_time(self, provider: OpenAIProvider, file_id: str) -> None:
        created(provider, file_id)
        assert len(provider.list(time.time() - 60).batches) == 1
        assert provider.list(time.time() + 60).batches == ()

    def test_a_server_that_gives_the_same_page_again_gives_no_whole_listing(self) -> None:
        page = {"object": "list", "data": [batch("b1", 7)], "has_more": True}
        with answering(always(orjson.dumps(page))) as (url, asked), asking(url) as provider:
            listing = provider.list(0.0)
        assert ([b.id for b in listing.batches], listing.whole, len(asked)) == (["b1"], False, 2)

    def test_a_server_that_says_more_and_gives_nothing_gives_no_whole_listing(self) -> None:
        page = b'{"object":"list","data":[],"has_more":true}'
        with answering(always(page)) as (url, _), asking(url) as provider:
            assert not provider.list(0.0).whole

    def test_a_server_that_lists_the_oldest_first_gives_no_whole_listing(self) -> None:
        page = {"object": "list", "data": [batch("b1", 7), batch("b2", 9)], "has_more": True}
        with answering(always(orjson.dumps(page))) as (url, _), asking(url) as provider:
            assert not provider.list(8.0 + 2).whole

    @pytest.mark.parametrize("body", [b"[]", b"{}", b"<html></html>", b'{"data":null}', b'{"data":[{"id":1}]}'])
    def test_what_is_no_listing_is_never_an_empty_one(self, body: bytes) -> None:
        with (
            answering(always(body)) as (url, _),
            asking(url) as provider,
            pytest.raises(ProviderUnreachable, match=r"is not OpenAI's protocol\. Is it the right base URL\?"),
        ):
            provider.list(0.0)


def batch(remote_id: str, created_at: int) -> dict[str, object]:
    return {
        "id": remote_id,
        "object": "batch",
        "endpoint": CHAT,
        "input_file_id": "f",
        "completion_window": "24h",
        "status": "in_progress",
        "created_at": created_at,
    }


class TestGetAndCancel:
    def test_an_unknown_batch_is_none(self, provider: OpenAIProvider) -> None:
        assert provider.get("batch_nowhere") is None

    def test_a_404_of_somebody_else_is_not_taken_for_an_unknown_batch(
        self, provider: OpenAIProvider, books: Books
    ) -> None:
        books.order({"kind": "status", "on": "batches.get", "status": 404, "body": "<html>nothing here</html>"})
        with pytest.raises(ProviderUnreachable, match="answered 404"):
            provider.get("batch_1")

    def test_a_batch_that_runs_is_cancelled(self, provider: OpenAIProvider, books: Books, file_id: str) -> None:
        books.order({"kind": "slow", "stage": "in_progress", "seconds": 60})
        cancelled = provider.cancel(created(provider, file_id))
        assert cancelled is not None
        assert cancelled.status in ("cancelling", "cancelled")

    def test_a_batch_that_has_ended_is_none_after_one_request(
        self, provider: OpenAIProvider, books: Books, struck: Callable[[], int], file_id: str
    ) -> None:
        remote_id = created(provider, file_id)
        ended(provider, remote_id)
        assert provider.cancel(remote_id) is None
        books.order({"kind": "status", "on": "batches.cancel", "status": 409, "times": None})
        assert provider.cancel(remote_id) is None
        assert struck() == 1

    def test_an_unknown_batch_can_not_be_cancelled(self, provider: OpenAIProvider) -> None:
        with pytest.raises(ProviderRefused) as caught:
            provider.cancel("batch_nowhere")
        assert caught.value.status == 404


class TestDownload:
    def test_a_download_that_is_cut_is_shorter_than_is_told(
        self, provider: OpenAIProvider, books: Books, file_id: str, tmp_path: Path, requests: Path
    ) -> None:
        books.order({"kind": "content_cut", "share": 0.5})
        told = provider.download(file_id, tmp_path / "got")
        assert told == requests.stat().st_size
        assert (tmp_path / "got").stat().st_size < requests.stat().st_size

    def test_a_file_that_is_gone_is_not_found(self, provider: OpenAIProvider, tmp_path: Path) -> None:
        with pytest.raises(FileGone, match="openai no longer has file file-nowhere"):
            provider.download("file-nowhere", tmp_path / "got")

    def test_a_404_of_somebody_else_is_not_taken_for_a_file_that_is_gone(
        self, provider: OpenAIProvider, books: Books, file_id: str, tmp_path: Path
    ) -> None:
        books.order({"kind": "status", "on": "files.content", "status": 404, "body": "<html>nothing here</html>"})
        with pytest.raises(ProviderUnreachable):
            provider.download(file_id, tmp_path / "got")

    def test_a_connection_that_breaks_is_told(
        self, provider: OpenAIProvider, books: Books, file_id: str, tmp_path: Path
    ) -> None:
        books.order({"kind": "request_lost", "on": "files.content", "times": None})
        with pytest.raises(ProviderUnreachable, match="can't be reached"):
            provider.download(file_id, tmp_path / "got")


class TestDelete:
    def test_a_deleted_file_is_a_fence_by_the_servers_clock(self, provider: OpenAIProvider, file_id: str) -> None:
        before = time.time()
        fenced = provider.delete_file(file_id)
        assert isinstance(fenced, Fenced)
        assert before - 1 <= fenced.at <= time.time() + 1  # the server looks at its clock once a second

    def test_a_file_that_is_gone_is_a_fence_too(self, provider: OpenAIProvider, file_id: str) -> None:
        provider.delete_file(file_id)
        assert isinstance(provider.delete_file(file_id), Fenced)

    @pytest.mark.parametrize(
        ("fault", "supported"),
        [
            ({"status": 405}, False),
            ({"status": 501, "headers": {"x-should-retry": "false"}}, False),
            ({"status": 404, "body": {"detail": "Not Found"}}, False),
            ({"status": 404, "body": "<html>nothing here</html>"}, False),
            ({"status": 404, "message": "No such route."}, False),
            ({"status": 401}, True),
            ({"status": 200, "body": {"id": "x", "object": "file", "deleted": False}}, True),
            ({"status": 200, "body": "<html>Welcome</html>"}, True),
            ({"status": 200, "body": [1]}, True),
            ({"status": 500, "headers": {"x-should-retry": "false"}}, True),
        ],
    )
    def test_anything_else_is_no_fence(
        self, provider: OpenAIProvider, books: Books, file_id: str, fault: dict[str, object], supported: bool
    ) -> None:
        books.order({"kind": "status", "on": "files.delete", "times": None, **fault})
        reply = provider.delete_file(file_id)
        assert isinstance(reply, NotFenced)
        assert reply.supported is supported

    def test_a_lost_reply_is_no_fence(self, provider: OpenAIProvider, books: Books, file_id: str) -> None:
        books.order({"kind": "request_lost", "on": "files.delete", "times": None})
        assert provider.delete_file(file_id) == NotFenced("Connection error.")


class TestWhoAsks:
    def test_a_missing_key_is_told_with_both_ways_out(self) -> None:
        with pytest.raises(MissingKey, match=r"set OPENAI_API_KEY .* or leave BATCH_PIPELINE_PROVIDER unset") as caught:
            provider_for("openai", Settings())
        assert caught.value.exit_code == 2

    def test_the_local_server_needs_no_key_and_says_how_to_start_it(self) -> None:
        local = provider_for("local", Settings.model_validate({"local_url": f"http://127.0.0.1:{free_port()}/v1"}))
        with pytest.raises(ProviderUnreachable, match=r"is not running at .* Start it with `batch-pipeline local-serv"):
            local.list(0.0)
        local.close()

    def test_waiting_times_are_the_providers_unless_they_are_set(self) -> None:
        openai = OpenAIProvider.openai(keyed())
        local = OpenAIProvider.local(Settings())
        assert (openai.wait_seconds, openai.recheck_seconds) == (600.0, 3600.0)
        assert (local.wait_seconds, local.recheck_seconds) == (1.0, 1.0)
        zero = Settings.model_validate({"create_wait_seconds": 0, "missing_recheck_seconds": 0})
        assert (OpenAIProvider.local(zero).wait_seconds, OpenAIProvider.local(zero).recheck_seconds) == (0.0, 0.0)

    def test_an_account_is_a_base_url_a_key_an_organization_and_a_project(self) -> None:
        accounts = [
            OpenAIProvider.openai(settings).account
            for settings in (
                keyed(),
                keyed(OPENAI_API_KEY="sk-another-key"),
                keyed(OPENAI_BASE_URL="https://example.com/v1"),
                keyed(OPENAI_ORG_ID="org-1"),
                keyed(OPENAI_PROJECT_ID="org-1"),
            )
        ]
        assert len(set(accounts)) == len(accounts)
        assert OpenAIProvider.openai(keyed()).account == accounts[0]
        with_slash = keyed(OPENAI_BASE_URL="https://example.com/v1/")
        assert OpenAIProvider.openai(with_slash).account == accounts[2]

    def test_the_key_is_in_no_message_and_in_no_repr(
        self, provider: OpenAIProvider, books: Books, file_id: str, tmp_path: Path, key: str
    ) -> None:
        calls: list[Callable[[], object]] = [
            lambda: create(provider, file_id),
            lambda: provider.list(0.0),
            lambda: provider.get("batch_1"),
            lambda: provider.cancel("batch_1"),
            lambda: provider.download(file_id, tmp_path / "got"),
            lambda: provider.delete_file(file_id),
        ]
        said = repr(provider)
        for status in (401, 500):
            fault = {"kind": "status", "status": status, "message": f"Incorrect API key provided: {key}."}
            books.order({**fault, "times": None, "headers": {"x-should-retry": "false"}})
            said += "".join(map(what_it_says, calls))
        assert "Incorrect API key provided: (the key)" in said
        assert "Check OPENAI_API_KEY." in said
        assert key not in said


def keyed(**environment: str) -> Settings:
    return Settings.model_validate({"OPENAI_API_KEY": KEY, **environment})


def what_it_says(call: Callable[[], object]) -> str:
    try:
        return repr(call())
    except ProviderError as error:
        return f"{error} {error!r}"


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b'{"hello":"world"}', b"[]", b"", b"null"])
def test_a_base_url_that_is_not_the_protocol_is_named(body: bytes, tmp_path: Path, requests: Path) -> None:
    with answering(always(body)) as (url, _), asking(url) as provider:
        for call in (
            lambda: provider.upload(requests, "mine.jsonl"),
            lambda: provider.list(0.0),
            lambda: provider.get("batch_1"),
            lambda: provider.cancel("batch_1"),
        ):
            with pytest.raises(ProviderUnreachable) as caught:
                call()
            assert url in str(caught.value)
        assert isinstance(create(provider, "file-1"), Unknown)
        assert isinstance(provider.delete_file("file-1"), NotFenced)
