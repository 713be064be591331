"""What a batch did cost: each row's own usage, priced by itself; a sum of rows can't tell which of them were long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from batch_pipeline.batches.money.estimates import Comparison
from batch_pipeline.batches.money.prices import Tariff
from batch_pipeline.wire.batch import BatchUsage
from batch_pipeline.wire.replies import Usage


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


def _sum_usage(usage: Usage, input_tokens: int, cached_tokens: int, output_tokens: int) -> Usage:
    return Usage(
        usage.input_tokens + input_tokens,
        usage.cached_tokens + cached_tokens,
        usage.output_tokens + output_tokens,
    )
