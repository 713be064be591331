"""What providers let an account have queued, by tier and model, as their own pages said in November 2026.

OpenAI's are the pages of its models (platform documentation, "Batch queue limit"); they are not what each account gets:
a small one was seen with 2 million for gpt-6-luna where the page says 5. Anthropic's are of its page on rate limits,
and count requests. What a provider says of your own account counts: `BATCH_PIPELINE_ENQUEUED_TOKENS`, or the limit that
the pipeline learned from a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from batch_pipeline.settings import ProviderName

Unit = Literal["tokens", "requests"]

OPENAI_CREATES = 2_000
"""Batches an hour: OpenAI's guide to its Batch API."""
OPENAI_STORAGE = 2_500_000_000_000
"""Bytes of files a project may keep: OpenAI's reference of its files API."""
_MILLION, _BILLION = 1_000_000, 1_000_000_000

_OPENAI: tuple[tuple[str, tuple[int, ...]], ...] = (
    (r"gpt-4o-mini", (2 * _MILLION, 20 * _MILLION, 40 * _MILLION, _BILLION, 15 * _BILLION)),
    (
        r"gpt-[456](\.\d)?-nano|gpt-4\.1-(mini|nano)",
        (2 * _MILLION, 20 * _MILLION, 40 * _MILLION, _BILLION, 15 * _BILLION),
    ),
    (r"gpt-[56](\.\d)?-(luna|mini)", (5 * _MILLION, 20 * _MILLION, 40 * _MILLION, _BILLION, 15 * _BILLION)),
    (r"gpt-4o|chatgpt-4o", (90_000, 1_350_000, 50 * _MILLION, 200 * _MILLION, 5 * _BILLION)),
    (
        r"gpt-6(\.\d)?-(astra|sol)|gpt-5\.6-sol|gpt-5\.5|gpt-5\.2-codex",
        (1_500_000, 3 * _MILLION, 100 * _MILLION, 200 * _MILLION, 15 * _BILLION),
    ),
    (r"text-embedding-3", (3 * _MILLION,)),
)
_ANTHROPIC: dict[str, tuple[int, int]] = {
    "start": (200_000, 1_000),
    "build": (300_000, 2_000),
    "scale": (500_000, 4_000),
}
"""Requests queued, of all models together, and calls a minute."""


@dataclass(frozen=True)
class Account:
    """What an account may do, and where that is known from."""

    limit: int | None
    unit: Unit
    creates_per_hour: int
    source: str


def tiers(provider: ProviderName, model: str) -> dict[str, Account]:
    """The account that each tier has for a model, the smallest first; none where no page gives a limit."""
    if provider == "anthropic":
        return {
            tier: Account(queued, "requests", 60 * minute, f"{tier}, by Anthropic's page")
            for tier, (queued, minute) in _ANTHROPIC.items()
        }
    limits = next((limits for pattern, limits in _OPENAI if re.match(pattern, model)), ())
    return {
        str(tier): Account(limit, "tokens", OPENAI_CREATES, f"tier {tier}, by OpenAI's page of the model")
        for tier, limit in enumerate(limits, start=1)
    }


def with_limit(provider: ProviderName, tokens: int, source: str) -> Account:
    """An account whose limit of queued tokens is known."""
    return Account(tokens, "tokens", 60 * _ANTHROPIC["start"][1] if provider == "anthropic" else OPENAI_CREATES, source)
