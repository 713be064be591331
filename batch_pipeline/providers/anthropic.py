"""Anthropic's Message Batches, through the official client.

There is no file and no metadata: requests go in the body of the create, and only the results of a batch say whose it
is. Retries are on for what may be repeated, and off for creating a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from pydantic import ValidationError

from batch_pipeline.errors import FileGone, MissingKey, ProviderRefused, ProviderUnreachable
from batch_pipeline.providers import http
from batch_pipeline.providers.base import Created, Fenced, Listing, NotFenced, Refused, Unknown, Uploaded
from batch_pipeline.providers.http import (
    REFUSALS,
    Page,
    date_of,
    envelope_of,
    json_object,
    read_back,
    stops_all,
    without_key,
)
from batch_pipeline.providers.inline import InlineRequests
from batch_pipeline.settings import ProviderName, Settings
from batch_pipeline.wire.batch import BatchObject
from batch_pipeline.wire.errors import ErrorEnvelope
from batch_pipeline.wire.messages import MESSAGES, MessageBatch, claim_in, error_body, result_line

if TYPE_CHECKING:
    from anthropic import Anthropic, APIResponse, APIStatusError

T = TypeVar("T")

CREATE_SECONDS = 300.0
"""What the provider may take to answer a create: its requests, up to 256 MB, are read and checked first."""
CLAIM_LINES = 100
"""Lines of results that are read for a claim; one is enough, unless it is damaged."""

WAYS_OUT = {
    401: " Check ANTHROPIC_API_KEY.",
    403: " This key may not do that: check its workspace and permissions.",
}


class AnthropicProvider:
    """Anthropic, or what speaks its protocol at another base URL.

    Args:
        base_url: Without `/v1`.
        api_key: The key; never logged.
        wait_seconds: WAIT; see `Provider`. Without a fence it counts six times.
        recheck_seconds: See `Provider`.
    """

    name: ProviderName = "anthropic"
    takes_files = False

    def __init__(self, base_url: str, api_key: str, wait_seconds: float, recheck_seconds: float) -> None:
        self.base_url = base_url
        self.wait_seconds = wait_seconds
        self.recheck_seconds = recheck_seconds
        self._api_key = api_key
        self._claims: dict[str, str] = {}
        self.account = hashlib.sha256(f"{base_url}\n{api_key}".encode()).hexdigest()[:16]

    @classmethod
    def of(cls, settings: Settings) -> AnthropicProvider:
        """Anthropic, or what `ANTHROPIC_BASE_URL` names.

        Raises:
            MissingKey: There is no `ANTHROPIC_API_KEY`.
        """
        if settings.anthropic_api_key is None:
            raise MissingKey(
                "Provider `anthropic` needs a key: set ANTHROPIC_API_KEY, "
                "or leave BATCH_PIPELINE_PROVIDER unset for the local server, which needs no key."
            )
        wait, recheck = settings.create_wait_seconds, settings.missing_recheck_seconds
        return cls(
            settings.anthropic_base_url,
            settings.anthropic_api_key.get_secret_value(),
            600.0 if wait is None else wait,
            3600.0 if recheck is None else recheck,
        )

    def upload(self, path: Path, filename: str) -> Uploaded:
        """Never asked for: it takes no files."""
        raise ProviderRefused(f"Anthropic's batches take no files, so {filename} can't be uploaded.", 404, None)

    def create(
        self, given: str | InlineRequests, endpoint: str, metadata: Mapping[str, str]
    ) -> Created | Refused | Unknown:
        """One POST, its body streamed from the plan's file: no retries, no redirects. It keeps no metadata."""
        import anthropic
        import httpx2
        from anthropic.types.messages import MessageBatch as TheirBatch

        assert isinstance(given, InlineRequests)  # noqa: S101 - what `takes_files` promises
        headers = {"content-type": "application/json", "content-length": str(given.bytes)}
        try:
            made = self._once.post(
                f"{endpoint}/batches", content=given.pieces(), cast_to=TheirBatch, options={"headers": headers}
            )
            return Created(_batch(made))
        except anthropic.APIStatusError as error:
            return self._refused(error)
        except anthropic.APIConnectionError as error:
            if isinstance(error.__cause__, (httpx2.ConnectError, httpx2.ConnectTimeout)):
                return Refused(self._unreachable(error.__cause__))
            return Unknown(f"no reply: {error}")
        except (anthropic.AnthropicError, ValidationError, ValueError, AttributeError, TypeError) as error:
            return Unknown(f"a reply that is no batch: {type(error).__name__}")

    def list(self, since: float) -> Listing:
        """Pages back until a batch is older than `since`."""
        return read_back(self._page, since)

    def get(self, remote_id: str) -> BatchObject | None:
        """Asks for one batch."""
        try:
            return self._asked(lambda: _batch(self._client.messages.batches.retrieve(remote_id)))
        except ProviderRefused as error:
            if error.status == 404:
                return None
            raise

    def claim_of(self, remote: BatchObject) -> str | None:
        """Out of its results, where it has any; what was read once is remembered."""
        if remote.id not in self._claims and remote.output_file_id is not None:
            with suppress(FileGone):
                if claim := self._asked(lambda: self._first_claim(remote.id)):
                    self._claims[remote.id] = claim
        return self._claims.get(remote.id)

    def cancel(self, remote_id: str) -> BatchObject | None:
        """Asks for it to be cancelled; whatever refuses, one that has ended can't be."""
        try:
            return self._asked(lambda: _batch(self._once.messages.batches.cancel(remote_id)))
        except ProviderRefused:
            found = self.get(remote_id)
            if found is None or found.ended:
                return None
            raise

    def download(self, file_id: str, into: Path) -> int | None:
        """Streams a batch's results to disk.

        No length is told beforehand. As many lines as the batch has requests are all of them; of fewer, the caller
        must find out whether the download was cut off.
        """
        found = self.get(file_id)
        if found is None:
            raise FileGone(f"anthropic no longer has batch {file_id}")
        try:
            lines, size = self._asked(lambda: self._stream(file_id, into))
        except ProviderRefused as error:
            if error.status == 404:
                raise FileGone(f"anthropic no longer has the results of {file_id}") from None
            raise
        total = found.request_counts.total if found.request_counts else 0
        return size if lines >= total else None

    def answer(self, line: bytes, *, flex: bool = False) -> bytes:
        """One POST to the messages; there is no flex processing."""
        import anthropic
        import httpx2

        request = orjson.loads(line)
        custom_id = str(request["custom_id"])
        try:
            reply = self._client.post(MESSAGES, body=request["params"], cast_to=httpx2.Response)
        except anthropic.APIStatusError as error:
            status = error.status_code
            if stops_all(status, _envelope(error)):
                raise self._status_error(error) from None
            told = json_object(without_key(error.response.text, self._api_key).encode())
            return result_line(custom_id, status, told or error_body(status, "not in the provider's form"))
        except anthropic.APIConnectionError as error:
            if isinstance(error.__cause__, (httpx2.ConnectError, httpx2.ConnectTimeout)):
                raise ProviderUnreachable(self._unreachable(error.__cause__)) from None
            return result_line(custom_id, 504, error_body(504, f"no answer came: {error}"))
        answered = json_object(reply.content)
        if answered is None:
            told = error_body(500, f"answered {reply.status_code}, and no JSON")
            return result_line(custom_id, 500, told)
        return result_line(custom_id, reply.status_code, answered)

    def delete_file(self, file_id: str) -> Fenced | NotFenced:
        """Deletes a batch that has ended, and its results with it."""
        import anthropic

        try:
            raw = self._client.messages.batches.with_raw_response.delete(file_id)
            return Fenced(date_of(raw.headers))
        except anthropic.APIStatusError as error:
            if error.status_code == 404 and _envelope(error) is not None:
                return Fenced(date_of(error.response.headers))
            return NotFenced(self._said(error))
        except anthropic.AnthropicError as error:
            return NotFenced(str(error))

    def close(self) -> None:
        """Closes its connections."""
        for client in ("_client", "_once"):
            if client in vars(self):
                vars(self).pop(client).close()

    @cached_property
    def _client(self) -> Anthropic:
        from anthropic import Anthropic

        return Anthropic(api_key=self._api_key, base_url=self.base_url, max_retries=2, timeout=600.0)

    @cached_property
    def _once(self) -> Anthropic:
        """The client for what must not be repeated: no retries, no redirects."""
        import httpx2
        from anthropic import DefaultHttpxClient

        timeout = httpx2.Timeout(CREATE_SECONDS, connect=5.0)
        straight = DefaultHttpxClient(follow_redirects=False, timeout=timeout)
        return self._client.with_options(max_retries=0, timeout=timeout, http_client=straight)

    def _page(self, after: str | None) -> Page:
        from anthropic import omit

        def call() -> Page:
            raw = self._client.messages.batches.with_raw_response.list(limit=http.PAGE, after_id=after or omit)
            page = raw.parse()
            return Page([_batch(batch) for batch in page.data], bool(page.has_more), date_of(raw.headers))

        return self._asked(call)

    def _stream(self, remote_id: str, into: Path) -> tuple[int, int]:
        """Lines and bytes of the results."""
        lines = size = 0
        with self._results(remote_id) as reply, into.open("wb") as file:
            for piece in reply.iter_bytes():
                file.write(piece)
                size += len(piece)
                lines += piece.count(b"\n")
        return lines, size

    def _first_claim(self, remote_id: str) -> str | None:
        with self._results(remote_id) as reply:
            for _, line in zip(range(CLAIM_LINES), reply.iter_lines(), strict=False):
                if (claim := claim_in(line.encode())) is not None:
                    return claim
        return None

    @contextmanager
    def _results(self, remote_id: str) -> Generator[APIResponse[Any]]:
        from anthropic import AnthropicError, APIError

        try:
            with self._client.messages.batches.with_streaming_response.results(remote_id) as reply:
                yield reply
        except APIError:
            raise
        except AnthropicError as error:  # the client's own, of a batch that shows no results: they are archived
            raise FileGone(f"anthropic no longer has the results of {remote_id}") from error

    def _asked(self, call: Callable[[], T]) -> T:
        """Runs a call that may be repeated, and turns what goes wrong into this project's errors."""
        import anthropic
        import httpx2

        try:
            return call()
        except anthropic.APIStatusError as error:
            raise self._status_error(error) from None
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise ProviderUnreachable(self._unreachable(error.__cause__ or error)) from None
        except (anthropic.AnthropicError, ValidationError, ValueError, AttributeError, TypeError):
            raise ProviderUnreachable(
                f"{self.base_url} answered something that is not Anthropic's protocol. Is it the right base URL?"
            ) from None

    def _unreachable(self, cause: BaseException) -> str:
        cause_told = f"{type(cause).__name__}: {cause}"
        return f"The provider can't be reached at {self.base_url} ({cause_told}). {http.NOTHING_LOST}"

    def _status_error(self, error: APIStatusError) -> ProviderRefused | ProviderUnreachable:
        told = _envelope(error)
        code = None if told is None else told.error.type
        return http.refusal(self.base_url, error.status_code, told, code, self._api_key, WAYS_OUT)

    def _refused(self, error: APIStatusError) -> Refused | Unknown:
        told = _envelope(error)
        if told is None or error.status_code not in REFUSALS:
            return Unknown(f"answered {error.status_code}")
        return Refused(self._said(error), error.status_code, told.error.type)

    def _said(self, error: APIStatusError) -> str:
        return http.said(_envelope(error), self._api_key)


def _batch(reply: Any) -> BatchObject:  # noqa: ANN401 - the client's models are built without validation
    return MessageBatch.model_validate(reply.model_dump(mode="json", warnings=False)).as_batch()


def _envelope(error: APIStatusError) -> ErrorEnvelope | None:
    return envelope_of(error.response.content)
