"""What a job of any size will cost: the estimate of a sample, as many times as there are rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batch_pipeline.batches.money.estimates import Estimate, Estimator
from batch_pipeline.batches.money.prices import Price, Tariff


@dataclass(frozen=True)
class Costs:
    """USD for all requests. Of `local`, as if `PRICE_AS` answered."""

    bound: float
    """The most that batches may cost: what a budget must hold."""
    batch: float
    flex: float | None
    """None where nobody answers so."""
    realtime: float
    output_tokens: float
    """Of all answers, as expected."""

    @property
    def saved(self) -> float:
        """What batch saves against realtime."""
        return self.realtime - self.batch


def costs_of(
    tariff: Tariff,
    tokens: Sequence[int],
    requests: int,
    max_output_tokens: int,
    *,
    exact: bool,
    expected_output_tokens: float | None = None,
    headroom: int | None = None,
    flex: bool = True,
) -> Costs:
    """What so many requests cost that are like those of a sample.

    Args:
        tariff: Prices in each mode.
        tokens: Input tokens of each request of the sample.
        requests: All of them.
        max_output_tokens: The limit that each request carries.
        exact: `TokenCounter.exact`.
        expected_output_tokens: Mean of an answer; half of the limit otherwise.
        headroom: As `Estimator` has it.
        flex: Whether the provider answers so.
    """
    many = requests / len(tokens) if tokens else 0.0

    def estimate(price: Price) -> Estimate:
        one = Estimator(
            price, max_output_tokens, exact=exact, expected_output_tokens=expected_output_tokens, headroom=headroom
        )
        one.add(tokens)
        return one.result()

    batch, realtime = estimate(tariff.batch), estimate(tariff.realtime)
    return Costs(
        bound=batch.bound_usd * many,
        batch=batch.estimate_usd * many,
        flex=estimate(tariff.flex).estimate_usd * many if flex else None,
        realtime=realtime.estimate_usd * many,
        output_tokens=batch.expected_output_tokens * many,
    )
