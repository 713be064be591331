from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.money.estimates import Comparison, Estimate, Estimator
from batch_pipeline.batches.money.prices import Price, PriceBook, Rates

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOOK = PriceBook()
LUNA = BOOK.price("openai", "gpt-6-luna", at=AT)
HAIKU = BOOK.price("anthropic", "claude-haiku-5-5", at=AT)

usd = st.floats(0, 1e-3)
rates = st.builds(Rates, usd, usd, usd, usd)
prices = st.one_of(
    st.sampled_from([LUNA, HAIKU, BOOK.price("openai", "gpt-4.1", at=AT), BOOK.price("openai", "gpt-4o", at=AT)]),
    st.builds(Price, st.just("m"), st.just("batch"), st.just("file"), rates, rates, st.integers(1, 300_000)),
)
counts = st.lists(st.integers(0, 400_000), max_size=8)


def estimate(price: Price, tokens: list[int], limit: int = 100, *, exact: bool = True) -> Estimate:
    estimator = Estimator(price, limit, exact=exact)
    estimator.add(tokens)
    return estimator.result()


def at_most(cost: float, bound: float) -> bool:
    return cost <= bound * (1 + 1e-12) + 1e-15  # the order of additions differs


@given(data=st.data(), price=prices, tokens=counts, limit=st.integers(0, 5_000), exact=st.booleans())
def test_no_batch_costs_more_than_its_bound(
    *, data: st.DataObject, price: Price, tokens: list[int], limit: int, exact: bool
) -> None:
    """Whatever is cached, written to the cache or said, and whatever framing the provider adds within the headroom."""
    headroom = 64
    estimator = Estimator(price, limit, exact=exact, headroom=headroom)
    estimator.add(tokens)
    cost = 0.0
    for count in tokens:
        billed = data.draw(st.integers(0, int((count + headroom) * (1 if exact else 1.5))))
        cached = data.draw(st.integers(0, billed))
        written = data.draw(st.integers(0, billed - cached))
        cost += price.cost(billed, cached, data.draw(st.integers(0, limit)), written)
    assert at_most(cost, estimator.result().bound_usd)


@given(prices, counts, st.integers(0, 400_000), st.integers(0, 5_000))
def test_one_more_request_and_a_longer_output_never_lower_the_bound(
    price: Price, tokens: list[int], more: int, limit: int
) -> None:
    bound = estimate(price, tokens, limit).bound_usd
    assert at_most(bound, estimate(price, [*tokens, more], limit).bound_usd)
    assert at_most(bound, estimate(price, tokens, limit + 1).bound_usd)


@given(prices, st.integers(0, 400_000), st.integers(0, 400_000))
def test_a_longer_request_never_lowers_the_bound(price: Price, tokens: int, more: int) -> None:
    assert at_most(estimate(price, [tokens]).bound_usd, estimate(price, [tokens + more]).bound_usd)


@given(st.sampled_from([LUNA, HAIKU]), counts, st.booleans())
def test_the_estimate_is_never_above_the_bound(price: Price, tokens: list[int], exact: bool) -> None:
    result = estimate(price, tokens, exact=exact)
    assert at_most(result.estimate_usd, result.bound_usd)


@given(prices, counts, counts)
def test_batches_add_up_to_their_job(price: Price, first: list[int], second: list[int]) -> None:
    apart, whole = estimate(price, first) + estimate(price, second), estimate(price, first + second)
    assert (apart.requests, apart.input_tokens) == (whole.requests, whole.input_tokens)
    assert apart.estimate_usd == pytest.approx(whole.estimate_usd)
    assert apart.bound_usd == pytest.approx(whole.bound_usd)


@given(prices, st.lists(counts, max_size=4))
def test_chunks_as_they_stream_by_are_one_batch(price: Price, chunks: list[list[int]]) -> None:
    estimator = Estimator(price, 100, exact=True)
    for chunk in chunks:
        estimator.add(chunk)
    assert estimator.result() == estimate(price, [count for chunk in chunks for count in chunk])


def test_the_figures_of_an_estimate_are_pinned() -> None:
    result = estimate(LUNA, [1_000, 3_000], 200)
    assert (result.requests, result.input_tokens, result.expected_output_tokens) == (2, 4_000, 200)
    assert result.estimate_usd == pytest.approx(4_000 * 0.05e-6 + 200 * 0.25e-6)
    # 64 tokens of headroom each, the rate of cache writes, and the whole limit
    assert result.bound_usd == pytest.approx(4_128 * 0.0625e-6 + 400 * 0.25e-6)


def test_a_tokenizer_that_is_not_the_providers_takes_half_as_much_again() -> None:
    assert estimate(LUNA, [1_000], 0, exact=False).bound_usd == pytest.approx(1.5 * 1_064 * 0.0625e-6)


def test_a_272k_token_request_is_at_the_long_context_rate_and_bound_so_from_a_little_below() -> None:
    long, input_rate = 272_001, LUNA.base.input
    assert estimate(LUNA, [long], 0).estimate_usd == pytest.approx(long * 2 * input_rate)
    assert estimate(LUNA, [272_000], 0).estimate_usd == pytest.approx(272_000 * input_rate)
    near, far = 260_000, 258_000
    assert estimate(LUNA, [near], 0).bound_usd == pytest.approx((near + 64) * 0.125e-6)
    assert estimate(LUNA, [far], 0).bound_usd == pytest.approx((far + 64) * 0.0625e-6)
    assert estimate(LUNA, [180_000], 0, exact=False).bound_usd == pytest.approx(1.5 * 180_064 * 0.125e-6)


def test_many_short_requests_do_not_add_up_to_a_long_one() -> None:
    assert estimate(LUNA, [1_000] * 300, 0).estimate_usd == pytest.approx(300_000 * 0.05e-6)


def test_history_sets_the_expected_output_and_never_above_the_limit() -> None:
    def expected(tokens: float) -> float:
        estimator = Estimator(LUNA, 100, exact=True, expected_output_tokens=tokens)
        estimator.add([1_000])
        return estimator.result().expected_output_tokens

    assert expected(7.5) == 7.5
    assert expected(900) == 100


def test_local_is_estimated_at_nothing() -> None:
    result = estimate(BOOK.price("local", "smollm2-135m"), [1_000], exact=False)
    assert (result.input_tokens, result.estimate_usd, result.bound_usd) == (1_000, 0, 0)


def test_an_empty_batch_costs_nothing() -> None:
    assert estimate(LUNA, []) == Estimate()


def test_modes_are_compared_for_a_record_and_nothing_is_saved_where_nothing_was_used() -> None:
    compared = Comparison(4, 0.01, 0.01, 0.02, 0.01) + Comparison(6, 0.03, 0.03, 0.08, 0.03)
    assert (compared.saved_usd, compared.saved_share) == pytest.approx((0.06, 0.6))
    assert compared.per_record_usd == pytest.approx(0.004)
    assert Comparison().saved_share == Comparison().per_record_usd == 0
