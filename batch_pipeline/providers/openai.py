"""OpenAI, and whatever speaks its protocol at another base URL: the local server among them.

Through the official client. Its own retries are on for what may be repeated, and off for creating a batch:
`POST /batches` has no idempotency key, so a repeated one is a second batch, and is paid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import orjson
from pydantic import BaseModel, ValidationError

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
from batch_pipeline.settings import ProviderName, Settings, is_azure
from batch_pipeline.wire.batch import BatchObject
from batch_pipeline.wire.errors import ErrorEnvelope
from batch_pipeline.wire.lines import output_line, unanswered_line

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

T = TypeVar("T")

CREATE_SECONDS = 60.0
FLEX_SECONDS = 900.0
"""How long flex processing may take to answer: what its guide advises."""
DATE_SECONDS = 1.0
"""What a `Date` header leaves out: it counts whole seconds, and a fence must not seem older than it is."""
KEPT_SECONDS = 30 * 24 * 3600
"""How long the provider keeps uploads and outputs that nobody deletes; its longest."""

WAYS_OUT = {
    401: " Check OPENAI_API_KEY.",
    403: " This key may not do that: check its project and permissions.",
}


class OpenAIProvider:
    """A server that speaks OpenAI's protocol.

    Args:
        name: `openai`, or `local` for the local server.
        base_url: Ends in `/v1`.
        api_key: The key; never logged.
        wait_seconds: WAIT; see `Provider`.
        recheck_seconds: See `Provider`.
        organization: Of the key, where it has several.
        project: The same. Each sees its own batches and files only, so it is part of the account.
        bare_urls: Whether a create names its endpoint without `/v1`, as the lines of its file do.
    """

    takes_files = True

    def __init__(
        self,
        name: ProviderName,
        base_url: str,
        api_key: str,
        wait_seconds: float,
        recheck_seconds: float,
        organization: str | None = None,
        project: str | None = None,
        *,
        bare_urls: bool = False,
    ) -> None:
        self.name: ProviderName = name
        self.base_url = base_url
        self.wait_seconds = wait_seconds
        self.recheck_seconds = recheck_seconds
        self._api_key = api_key
        self._organization = organization or ""
        self._project = project or ""
        self._bare_urls = bare_urls
        who = f"{base_url}\n{self._organization}\n{self._project}\n{api_key}"
        self.account = hashlib.sha256(who.encode()).hexdigest()[:16]

    @classmethod
    def openai(cls, settings: Settings) -> OpenAIProvider:
        """OpenAI, or what `OPENAI_BASE_URL` names.

        Raises:
            MissingKey: There is no `OPENAI_API_KEY`.
        """
        if settings.openai_api_key is None:
            raise MissingKey(
                "Provider `openai` needs a key: set OPENAI_API_KEY (any text, for a server that wants none), "
                "or leave BATCH_PIPELINE_PROVIDER unset for the local server, which needs no key."
            )
        key = settings.openai_api_key.get_secret_value()
        wait, recheck = settings.create_wait_seconds, settings.missing_recheck_seconds
        return cls(
            "openai",
            settings.openai_base_url,
            key,
            600.0 if wait is None else wait,
            3600.0 if recheck is None else recheck,
            settings.openai_org_id,
            settings.openai_project_id,
            bare_urls=settings.names_bare_urls,
        )

    @classmethod
    def local(cls, settings: Settings) -> OpenAIProvider:
        """The local server; it needs no key."""
        wait, recheck = settings.create_wait_seconds, settings.missing_recheck_seconds
        return cls(
            "local", settings.local_url, "local", 1.0 if wait is None else wait, 1.0 if recheck is None else recheck
        )

    def upload(self, path: Path, filename: str) -> Uploaded:
        """Streams the file up, to be kept no longer than the provider's longest."""

        def call() -> Uploaded:
            with path.open("rb") as content:
                file = self._client.files.create(
                    file=(filename, content),
                    purpose="batch",
                    expires_after={"anchor": "created_at", "seconds": KEPT_SECONDS},
                )
            return Uploaded(file.id, float(file.created_at), cast("int | None", file.bytes))

        return self._asked(call)

    def create(
        self, given: str | InlineRequests, endpoint: str, metadata: Mapping[str, str]
    ) -> Created | Refused | Unknown:
        """One POST: no retries, no redirects."""
        import httpx2
        import openai

        try:
            made = self._once.batches.create(
                input_file_id=cast("str", given),
                endpoint=cast("Any", endpoint.removeprefix("/v1") if self._bare_urls else endpoint),
                completion_window="24h",
                metadata=dict(metadata),
                output_expires_after={"anchor": "created_at", "seconds": KEPT_SECONDS},
            )
            return Created(_batch(made))
        except openai.APIStatusError as error:
            return self._refused(error)
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, (httpx2.ConnectError, httpx2.ConnectTimeout)):
                return Refused(self._unreachable(error.__cause__))
            return Unknown(f"no reply: {error}")
        except (openai.OpenAIError, ValidationError, ValueError, AttributeError, TypeError) as error:
            return Unknown(f"a reply that is no batch: {type(error).__name__}")

    def list(self, since: float) -> Listing:
        """Pages back until a batch is older than `since`."""
        return read_back(self._page, since)

    def get(self, remote_id: str) -> BatchObject | None:
        """Asks for one batch."""
        try:
            return self._asked(lambda: _batch(self._client.batches.retrieve(remote_id)))
        except ProviderRefused as error:
            if error.status == 404:
                return None
            raise

    def claim_of(self, remote: BatchObject) -> str | None:
        """Out of its metadata."""
        return (remote.metadata or {}).get("claim")

    def cancel(self, remote_id: str) -> BatchObject | None:
        """Asks for it to be cancelled; 409 says that it has ended."""
        try:
            return self._asked(lambda: _batch(self._once.batches.cancel(remote_id)))
        except ProviderRefused as error:
            if error.status == 409:
                return None
            raise

    def download(self, file_id: str, into: Path) -> int | None:
        """Streams the content to disk in the pieces in which it comes: to put them together costs as much again."""

        def content() -> None:
            with self._client.files.with_streaming_response.content(file_id) as reply, into.open("wb") as file:
                file.writelines(reply.iter_bytes())

        try:
            self._asked(content)
        except ProviderRefused as error:
            if error.status == 404:
                raise FileGone(f"{self.name} no longer has file {file_id}") from None
            raise
        return self._asked(lambda: self._client.files.retrieve(file_id).bytes)

    def answer(self, line: bytes, *, flex: bool = False) -> bytes:
        """One POST to the endpoint that the line names; by flex processing where asked."""
        import httpx2
        import openai

        request = orjson.loads(line)
        custom_id, body = str(request["custom_id"]), request["body"] | ({"service_tier": "flex"} if flex else {})
        client = self._client.with_options(timeout=FLEX_SECONDS) if flex else self._client
        try:
            reply = client.post(request["url"].removeprefix("/v1"), body=body, cast_to=httpx2.Response)
        except openai.APIStatusError as error:
            if stops_all(error.status_code, _envelope(error)):
                raise self._status_error(error) from None
            told = json_object(without_key(error.response.text, self._api_key).encode())
            told = told or {"error": {"message": "not in the provider's form"}}
            return output_line(custom_id, error.status_code, told, error.request_id)
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, (httpx2.ConnectError, httpx2.ConnectTimeout)):
                raise ProviderUnreachable(self._unreachable(error.__cause__)) from None
            return unanswered_line(custom_id, "connection_lost", f"no answer came: {error}")
        answered = json_object(reply.content)
        if answered is None:
            return unanswered_line(custom_id, "no_json", f"answered {reply.status_code}, and no JSON")
        return output_line(custom_id, reply.status_code, answered, reply.headers.get("x-request-id"))

    def delete_file(self, file_id: str) -> Fenced | NotFenced:
        """Deletes it; 404 in the provider's envelope says that it is gone."""
        import openai

        try:
            raw = self._client.files.with_raw_response.delete(file_id)
            if raw.parse().deleted:
                return Fenced(date_of(raw.headers) + DATE_SECONDS)
            return NotFenced("the server did not confirm the deletion")
        except openai.APIStatusError as error:
            told = _envelope(error)
            if error.status_code == 404 and told is not None and file_id in told.error.message:
                return Fenced(date_of(error.response.headers) + DATE_SECONDS)
            return NotFenced(self._said(error), supported=error.status_code not in (404, 405, 501))
        except (openai.OpenAIError, ValidationError, ValueError, AttributeError) as error:
            return NotFenced(str(error))

    def close(self) -> None:
        """Closes its connections."""
        for client in ("_client", "_once"):
            if client in vars(self):
                vars(self).pop(client).close()

    @cached_property
    def _client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(
            api_key=self._api_key,
            organization=self._organization or None,
            project=self._project or None,
            base_url=self.base_url,
            default_headers=_key_headers(self.base_url, self._api_key),
            max_retries=2,
            timeout=600.0,
        )

    @cached_property
    def _once(self) -> OpenAI:
        """The client for what must not be repeated: no retries, no redirects."""
        import httpx2
        from openai import DefaultHttpxClient

        timeout = httpx2.Timeout(CREATE_SECONDS, connect=5.0)
        straight = DefaultHttpxClient(follow_redirects=False, timeout=timeout)
        return self._client.with_options(max_retries=0, timeout=timeout, http_client=straight)

    def _page(self, after: str | None) -> Page:
        from openai import omit

        def call() -> Page:
            raw = self._client.batches.with_raw_response.list(limit=http.PAGE, after=after or omit)
            page = _Listed.model_validate_json(raw.content)  # the client's own models took four times as long
            return Page(page.data, bool(page.has_more), date_of(raw.headers))

        return self._asked(call)

    def _asked(self, call: Callable[[], T]) -> T:
        """Runs a call that may be repeated, and turns what goes wrong into this project's errors."""
        import httpx2
        import openai

        try:
            return call()
        except openai.APIStatusError as error:
            raise self._status_error(error) from None
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            raise ProviderUnreachable(self._unreachable(error.__cause__ or error)) from None
        except (openai.OpenAIError, ValidationError, ValueError, AttributeError, TypeError):
            raise ProviderUnreachable(
                f"{self.base_url} answered something that is not OpenAI's protocol. Is it the right base URL?"
            ) from None

    def _unreachable(self, cause: BaseException) -> str:
        way_out = (
            "Start it with `batch-pipeline local-server`, or everything with `batch-pipeline dev`."
            if self.name == "local"
            else http.NOTHING_LOST
        )
        server = "The local server is not running" if self.name == "local" else "The provider can't be reached"
        return f"{server} at {self.base_url} ({type(cause).__name__}: {cause}). {way_out}"

    def _status_error(self, error: APIStatusError) -> ProviderRefused | ProviderUnreachable:
        told = _envelope(error)
        code = None if told is None else told.error.code
        return http.refusal(self.base_url, error.status_code, told, code, self._api_key, WAYS_OUT)

    def _refused(self, error: APIStatusError) -> Refused | Unknown:
        told = _envelope(error)
        if told is None or error.status_code not in REFUSALS:
            return Unknown(f"answered {error.status_code}")
        return Refused(self._said(error), error.status_code, told.error.code)

    def _said(self, error: APIStatusError) -> str:
        return http.said(_envelope(error), self._api_key)


class _Listed(BaseModel):
    """A page of `GET /batches`."""

    data: list[BatchObject]
    has_more: bool | None = None


def _key_headers(base_url: str, api_key: str) -> dict[str, str]:
    """Azure wants a key in a header of its own; the other one is for tokens (its v1 reference, "Authentication")."""
    return {"api-key": api_key} if is_azure(base_url) else {}


def _batch(reply: Any) -> BatchObject:  # noqa: ANN401 - the client's models are built without validation
    return BatchObject.model_validate(reply.model_dump(mode="json", warnings=False))


def _envelope(error: APIStatusError) -> ErrorEnvelope | None:
    return envelope_of(error.response.content)
