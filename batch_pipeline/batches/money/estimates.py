"""What a batch is expected to cost, what it can cost at worst, and what was paid beside what it would have been.

    estimate    the counted input, an output of the expected length, today's price
    bound       the most that can be billed: this is what a budget reserves
    comparison  the same tokens, paid in each mode

All of it is arithmetic in USD over `Price`; nothing here reads a file or a table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from batch_pipeline.batches.money.prices import Price, Rates
from batch_pipeline.batches.money.tokens import headroom_tokens

EXPECTED_SHARE = 0.5
"""Output that is expected of a request, as a share of its limit, until there is a history to go by."""

FOREIGN_TOKENIZER = 1.5
"""What a count may be short by where the tokenizer is not known to be the provider's."""

LONG_CONTEXT_MARGIN = 0.95
"""The bound takes the long-context rate from this share of its threshold: our count is not the one that decides."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What `requests` requests will take. Estimates of batches add up to that of their job."""

    requests: int = 0
    input_tokens: int = 0
    expected_output_tokens: float = 0.0
    estimate_usd: float = 0.0
    bound_usd: float = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.expected_output_tokens + other.expected_output_tokens,
            self.estimate_usd + other.estimate_usd,
            self.bound_usd + other.bound_usd,
        )


class Estimator:
    """Estimates one batch while it is being planned, in memory that doesn't grow with it.

    Args:
        price: What is paid; a standard price where there is no batch price.
        max_output_tokens: The limit that each request carries; 0 for embeddings.
        exact: `TokenCounter.exact`.
        expected_output_tokens: The mean that history shows; half of the limit otherwise. Never above the limit.
        headroom: Input tokens that the bound allows each request beyond what was counted.
    """

    def __init__(
        self,
        price: Price,
        max_output_tokens: int,
        *,
        exact: bool,
        expected_output_tokens: float | None = None,
        headroom: int | None = None,
    ) -> None:
        self._price = price
        self._limit = max_output_tokens
        expected = EXPECTED_SHARE * max_output_tokens if expected_output_tokens is None else expected_output_tokens
        self._expected = min(expected, max_output_tokens)
        self._headroom = headroom_tokens() if headroom is None else headroom
        self._factor = 1.0 if exact else FOREIGN_TOKENIZER
        threshold = math.inf if price.threshold is None else price.threshold
        self._threshold = threshold
        self._near = LONG_CONTEXT_MARGIN * threshold / self._factor - self._headroom
        self._all = self._long = self._close = _Tally()

    def add(self, input_tokens: Sequence[int]) -> None:
        """Takes the counted input tokens of more requests, a request each."""
        self._all += _Tally.of(input_tokens)
        # one pass each in C; the few long ones are picked only where there are any
        if input_tokens and max(input_tokens) > self._near:
            self._long += _Tally.of([count for count in input_tokens if count > self._threshold])
            self._close += _Tally.of([count for count in input_tokens if count > self._near])

    def result(self) -> Estimate:
        """The estimate of all that was added so far."""
        return Estimate(
            self._all.requests,
            self._all.tokens,
            self._expected * self._all.requests,
            self._expected_usd(),
            self._bound_usd(),
        )

    def _expected_usd(self) -> float:
        base, long = self._price.base, self._price.long_context or self._price.base

        def usd(tally: _Tally, rates: Rates) -> float:
            return tally.tokens * rates.input + tally.requests * self._expected * rates.output

        return usd(self._all - self._long, base) + usd(self._long, long)

    def _bound_usd(self) -> float:
        base = self._price.base
        dearest = _dearest(base, self._price.long_context or base)

        def usd(tally: _Tally, rates: Rates) -> float:
            billed = (tally.tokens + tally.requests * self._headroom) * self._factor
            return billed * _dearest_input(rates) + tally.requests * self._limit * rates.output

        return usd(self._all - self._close, base) + usd(self._close, dearest)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the same tokens cost in each mode, in USD; `paid_usd` is what was paid, 0 for `local`.

    The others of `local` are at the price of `PRICE_AS`. Comparisons of batches add up to that of their job.
    """

    records: int = 0
    paid_usd: float = 0.0
    batch_usd: float = 0.0
    realtime_usd: float = 0.0
    flex_usd: float = 0.0

    @property
    def saved_usd(self) -> float:
        """What batch saves against realtime, whichever of them was paid."""
        return self.realtime_usd - self.batch_usd

    @property
    def saved_share(self) -> float:
        """`saved_usd` as a share of the realtime price, 0 to 1; 0 where nothing was used."""
        return self.saved_usd / self.realtime_usd if self.realtime_usd else 0.0

    @property
    def per_record_usd(self) -> float:
        """The price of one record; of `local`, what it would be in batch."""
        return (self.paid_usd or self.batch_usd) / self.records if self.records else 0.0

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(
            self.records + other.records,
            self.paid_usd + other.paid_usd,
            self.batch_usd + other.batch_usd,
            self.realtime_usd + other.realtime_usd,
            self.flex_usd + other.flex_usd,
        )


@dataclass(frozen=True, slots=True)
class _Tally:
    requests: int = 0
    tokens: int = 0

    @classmethod
    def of(cls, counts: Sequence[int]) -> _Tally:
        return cls(len(counts), sum(counts))

    def __add__(self, other: _Tally) -> _Tally:
        return _Tally(self.requests + other.requests, self.tokens + other.tokens)

    def __sub__(self, other: _Tally) -> _Tally:
        return _Tally(self.requests - other.requests, self.tokens - other.tokens)


def _dearest_input(rates: Rates) -> float:
    """No discount for what is cached, and the surcharge for writing to the cache, where there is one."""
    return max(rates.input, rates.cached_input, rates.cache_write)


def _dearest(left: Rates, right: Rates) -> Rates:
    return Rates(
        max(left.input, right.input),
        max(left.cached_input, right.cached_input),
        max(left.output, right.output),
        max(left.cache_write, right.cache_write),
    )
