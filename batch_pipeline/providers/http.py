"""What providers have in common on the wire: refusals, dates, and listings that are read page by page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import cast

import orjson
from pydantic import ValidationError

from batch_pipeline.errors import ProviderRefused, ProviderUnreachable
from batch_pipeline.providers.base import Listing
from batch_pipeline.wire.batch import BatchObject
from batch_pipeline.wire.errors import ErrorEnvelope

REFUSALS = frozenset({400, 401, 402, 403, 404, 413, 422, 429})
"""Statuses that, in the provider's own envelope, say that nothing was created."""
PASSING = frozenset({408, 409, 429})
"""Statuses of which another try may be spared."""
STOPPING = frozenset({401, 402, 403})
"""Statuses after which no other request would fare better."""
STOPPING_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_error"})
PAGE = 100
"""Batches on one page of a listing."""
NOTHING_LOST = "Nothing is lost: what was sent is known, and this can be run again."
SHORTEST_KEY = 8
"""A shorter text is no key, only what is set for a server that wants none."""


@dataclass(frozen=True)
class Page:
    """One page of a listing, and the provider's clock when it was given."""

    batches: Sequence[BatchObject]
    has_more: bool
    date: float


def read_back(page_after: Callable[[str | None], Page], since: float) -> Listing:
    """Pages back until a batch is older than `since`; the listing is newest first.

    It is not whole where a server gives it in another order, or the same page again, or more that is nothing.

    Args:
        page_after: The page that follows a batch; the first one for None.
        since: Unix seconds.
    """
    begun: float | None = None
    found: dict[str, BatchObject] = {}
    after: str | None = None
    while True:
        page = page_after(after)
        begun = page.date if begun is None else begun
        new = {batch.id: batch for batch in page.batches if batch.id not in found}
        found |= new
        ended = not page.has_more or (bool(new) and page.batches[-1].created_at < since)
        if ended or not new:
            times = [batch.created_at for batch in found.values()]
            whole = ended and times == sorted(times, reverse=True)
            return Listing(begun, tuple(b for b in found.values() if b.created_at >= since), whole)
        after = page.batches[-1].id


def envelope_of(content: bytes) -> ErrorEnvelope | None:
    """The provider's own words; None where somebody else (a proxy, a gateway) answered."""
    try:
        return ErrorEnvelope.model_validate_json(content)
    except ValidationError:
        return None


def json_object(content: bytes) -> dict[str, object] | None:
    """A body that is a JSON object; None for anything else."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def stops_all(status: int, envelope: ErrorEnvelope | None) -> bool:
    """Whether an error is one that every request would meet: of the key, of the account, or of another protocol."""
    if status in STOPPING or (envelope is None and status < 500 and status not in PASSING):
        return True
    return envelope is not None and bool({envelope.error.code, envelope.error.type} & STOPPING_CODES)


def date_of(headers: Mapping[str, str]) -> float:
    """The provider's clock, out of the `Date` header; ours where a server sends none."""
    date = headers.get("date")
    return parsedate_to_datetime(date).timestamp() if date else time.time()


def without_key(message: str, key: str) -> str:
    """A provider's sentence without the key that some put into it."""
    return message if len(key) < SHORTEST_KEY else message.replace(key, "(the key)")


def said(envelope: ErrorEnvelope | None, key: str) -> str:
    """The provider's own sentence, for a person."""
    return "not in the provider's form" if envelope is None else without_key(envelope.error.message, key)


def refusal(
    base_url: str, status: int, envelope: ErrorEnvelope | None, code: str | None, key: str, ways_out: Mapping[int, str]
) -> ProviderRefused | ProviderUnreachable:
    """An HTTP error of a call that may be repeated, with the way out that its status has at this provider."""
    words = said(envelope, key)
    if status >= 500 or envelope is None:
        return ProviderUnreachable(f"{base_url} answered {status} ({words}). {NOTHING_LOST}")
    way_out = {429: " It will be tried again; nothing is lost.", **ways_out}.get(status, "")
    return ProviderRefused(f"{base_url} refused ({status}): {words.rstrip('.')}.{way_out}", status, code)
