"""What a batch is expected to cost, what it can cost at worst, and what it did cost.

    estimate    the counted input, an output of the expected length, today's price
    bound       the most that can be billed: this is what a budget reserves
    settlement  each row's own usage, priced by itself: a sum of rows can't tell which of them were long

All of it is arithmetic in USD over `Price`; nothing here reads a file or a table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from batch_pipeline.batches.money.prices import Price, Rates, Tariff
from batch_pipeline.batches.money.tokens import headroom_tokens
from batch_pipeline.wire.batch import BatchUsage
from batch_pipeline.wire.replies import Usage

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
class UsageDifference:
    """Our sum over the rows less what the batch's own `usage` says; all 0 where they agree."""

    input_tokens: int
    cached_tokens: int
    output_tokens: int

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self == UsageDifference(0, 0, 0)


class Settlement:
    """Settles one batch, row by row or in columns, in memory that doesn't grow with it.

    Every row that carries a usage is given to it once, whatever its outcome: an answer that is no JSON is paid too.
    Its sums are *set* as those of the batch, never added to what stands there: settled again, the same comes out.
    """

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff
        self._sums = Comparison()
        self._usage = Usage()

    @property
    def cost_usd(self) -> float:
        """What the batch cost."""
        return self._sums.paid_usd

    @property
    def usage(self) -> Usage:
        """The tokens of all rows; those of reasoning are not summed."""
        return self._usage

    def add(self, usage: Usage) -> float:
        """Takes one row; its cost in USD."""
        columns = [usage.input_tokens], [usage.cached_tokens], [usage.output_tokens], [usage.cache_write_tokens]
        return self.add_columns(*columns)[0]

    def add_columns(
        self,
        input_tokens: Sequence[int],
        cached_tokens: Sequence[int],
        output_tokens: Sequence[int],
        cache_write_tokens: Sequence[int] | None = None,
    ) -> list[float]:
        """Takes many rows, a column for each kind of token; the cost of each row in USD.

        Raises:
            ValueError: The columns differ in length.
        """
        columns = input_tokens, cached_tokens, output_tokens, cache_write_tokens
        prices = self._tariff.paid, self._tariff.batch, self._tariff.realtime, self._tariff.flex
        paid, *compared = (price.costs(*columns) for price in prices)
        self._sums += Comparison(0, sum(paid), *(sum(costs) for costs in compared))
        self._usage = _sum_usage(self._usage, sum(input_tokens), sum(cached_tokens), sum(output_tokens))
        return paid

    def comparison(self, records: int) -> Comparison:
        """What was paid for `records` records, and what it would have been otherwise."""
        return replace(self._sums, records=records)

    def against(self, reported: BatchUsage | None) -> UsageDifference | None:
        """How our sum differs from the batch's own `usage`; None where the provider gives none.

        Only tokens can be compared: which rows were long, and so what they cost, is not in a sum.
        """
        if reported is None:
            return None
        return UsageDifference(
            self._usage.input_tokens - reported.input_tokens,
            self._usage.cached_tokens - reported.input_tokens_details.cached_tokens,
            self._usage.output_tokens - reported.output_tokens,
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


def _sum_usage(usage: Usage, input_tokens: int, cached_tokens: int, output_tokens: int) -> Usage:
    return Usage(
        usage.input_tokens + input_tokens,
        usage.cached_tokens + cached_tokens,
        usage.output_tokens + output_tokens,
    )
