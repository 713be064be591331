"""GitHub's REST API, one request after the other: limits waited for, refusals said in a sentence.

Knows nothing of issues. What is asked again, and how often, is decided here and not by githubkit, whose waits can't be
told to anybody; https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import urlsplit

from batch_pipeline.errors import GitHubError
from batch_pipeline.settings import Settings
from batch_pipeline.sources.github_limits import LONGEST_WAIT, Clock, limit_wait

if TYPE_CHECKING:
    from githubkit import GitHub, UnauthAuthStrategy
    from githubkit.auth import TokenAuthStrategy
    from githubkit.response import Response

TIMEOUT_SECONDS = 60.0
SERVER_ERROR_WAITS = (1.0, 2.0, 4.0)
"""Seconds before a request that got a 5xx or no answer is sent again; then it is given up."""
LIMIT_TRIES = 6
API_VERSION = "2022-11-28"


@dataclass(frozen=True)
class Reply:
    """What GitHub answered: a 200 with JSON, or a 304. `date` is the server's, in seconds since 1970."""

    status: int
    text: str
    next: str | None
    etag: str | None
    date: float


class GitHubClient:
    """Asks GitHub, serially. To be used in a `with`.

    Args:
        settings: Base URL and token.
        clock: The time, and how to wait.
        longest_wait: Seconds that one request may wait for limits, all its waits together.
        on_wait: Told of each wait, in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        longest_wait: float = LONGEST_WAIT,
        on_wait: Callable[[float], None] | None = None,
    ) -> None:
        self._url = settings.github_api_url
        self._token = settings.github_token.get_secret_value() if settings.github_token else None
        self._clock = clock or Clock()
        self._longest_wait = longest_wait
        self._on_wait = on_wait
        self._github: GitHub[TokenAuthStrategy] | GitHub[UnauthAuthStrategy] | None = None
        self.requests = 0

    def __enter__(self) -> Self:
        self._github = _connect(self._url, self._token)
        self._github.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._github is not None:
            self._github.__exit__(kind, error, trace)
            self._github = None

    def get(
        self, url: str, params: Mapping[str, str | int] | None = None, etag: str | None = None, *, about: str = ""
    ) -> Reply:
        """One GET; `url` is a path below the base URL, or a whole address as a `Link` gave it.

        Args:
            url: What to ask for.
            params: The query; none with an address out of a `Link`.
            etag: What came with an earlier answer: a 304 follows where nothing changed.
            about: What is asked for, in words, for the error's sentence.

        Raises:
            GitHubError: A refusal, no answer, or a limit that lasts for too long.
        """
        self._check_origin(url)
        waited, limited, failed = 0.0, 0, 0
        while True:
            response = self._send(url, params, etag)
            if response is not None and response.status_code in (200, 304):
                return _reply(response, self._clock.now())
            if response is None or response.status_code >= 500:
                wait = self._wait_after_failure(response, failed, about)
                failed += 1
            else:
                wait = self._wait_after_refusal(response, limited, waited, about)
                limited, waited = limited + 1, waited + wait
            self._sleep(wait)

    def _send(self, url: str, params: Mapping[str, str | int] | None, etag: str | None) -> Response[object] | None:
        """The response, whatever its status; None where none came."""
        from githubkit.exception import RequestError, RequestFailed

        assert self._github is not None, "used outside of its `with`"  # noqa: S101  # a mistake in our own code
        headers = {"X-GitHub-Api-Version": API_VERSION} | ({"If-None-Match": etag} if etag else {})
        self.requests += 1
        try:
            # githubkit leaves what it sends as form data half typed
            return self._github.request("GET", url, params=params, headers=headers)  # pyright: ignore[reportUnknownMemberType] - its reply may be of any type
        except RequestFailed as refusal:
            return refusal.response
        except RequestError:
            return None

    def _wait_after_failure(self, response: Response[object] | None, failed: int, about: str) -> float:
        if failed < len(SERVER_ERROR_WAITS):
            return SERVER_ERROR_WAITS[failed]
        said = f"answered {response.status_code}" if response is not None else "did not answer"
        raise GitHubError(
            f"{self._url} {said} {failed + 1} times when asked for {about}. "
            "What was read until then is kept: run this again later, it goes on from there."
        )

    def _wait_after_refusal(self, response: Response[object], tries: int, waited: float, about: str) -> float:
        message, now = _message(response, self._token), self._clock.now()
        wait = limit_wait(response.status_code, response.headers, message, tries, now)
        if wait is None:
            raise GitHubError(self._refusal(response.status_code, message, about))
        if waited + wait > self._longest_wait or tries >= LIMIT_TRIES:
            raise GitHubError(self._come_back(now + wait))
        return wait

    def _refusal(self, status: int, message: str, about: str) -> str:
        if status == 401:
            return f"GitHub does not accept the token in GITHUB_TOKEN (401: {message}): make a new one, or unset it."
        if status == 404:
            hint = "the token in GITHUB_TOKEN may not read it" if self._token else "it is private: set GITHUB_TOKEN"
            return f"No {about} at {self._url} (404): the name is wrong, or {hint}."
        if status == 410:
            return f"GitHub no longer has {about} (410: {message}): issues may be switched off there."
        return f"GitHub refused {about} ({status}: {message})."

    def _come_back(self, at: float) -> str:
        hint = "" if self._token else " With GITHUB_TOKEN set, GitHub allows 5,000 requests an hour instead of 60."
        return (
            f"GitHub's rate limit is used up until {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC. "
            f"What was read until then is kept: run this again after that, it goes on from there.{hint}"
        )

    def _sleep(self, seconds: float) -> None:
        if self._on_wait:
            self._on_wait(seconds)
        self._clock.sleep(seconds)

    def _check_origin(self, url: str) -> None:
        """A token goes to the server that it was given for, not to wherever a `Link` points."""
        origin, ours = urlsplit(url)[:2], urlsplit(self._url)[:2]
        if self._token and any(origin) and origin != ours:
            raise GitHubError(
                f"{self._url} gave a next page on another server ({origin[1]}), to which GITHUB_TOKEN is not sent: "
                "set GITHUB_API_URL to the address that GitHub has for itself."
            )


def _connect(url: str, token: str | None) -> GitHub[TokenAuthStrategy] | GitHub[UnauthAuthStrategy]:
    from githubkit import GitHub, TokenAuthStrategy, UnauthAuthStrategy
    from githubkit.config import get_config

    # ETags are kept in the ledger, and waits are ours
    config = get_config(
        base_url=url, user_agent="batch_pipeline", timeout=TIMEOUT_SECONDS, http_cache=False, auto_retry=False
    )
    return GitHub(TokenAuthStrategy(token), config=config) if token else GitHub(UnauthAuthStrategy(), config=config)


def _reply(response: Response[object], now: float) -> Reply:
    text = response.text
    if response.status_code == 200 and not text.lstrip().startswith(("{", "[")):
        raise GitHubError(f"{response.url.host} answered with something other than JSON: is GITHUB_API_URL right?")
    next_page = response.raw_response.links.get("next", {}).get("url")
    return Reply(response.status_code, text, next_page, response.headers.get("etag"), _date(response, now))


def _date(response: Response[object], otherwise: float) -> float:
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return otherwise


def _message(response: Response[object], token: str | None) -> str:
    """GitHub's own words, or the beginning of whatever came in their place; without the token that some put in."""
    text = response.text.replace(token, "(the token)") if token else response.text
    try:
        body: object = json.loads(text)
    except ValueError:
        body = None
    said = cast("dict[str, object]", body).get("message") if isinstance(body, dict) else None
    return str(said or text[:200] or response.reason_phrase)
