from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.money.estimates import Comparison
from batch_pipeline.batches.money.prices import PriceBook, Tariff
from batch_pipeline.wire.batch import BatchUsage, CachedTokens
from batch_pipeline.wire.replies import Usage
from batch_pipeline_tests.live.settlement import Settlement

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOOK = PriceBook()
TARIFF = BOOK.tariff("openai", "gpt-6-luna", at=AT)

usages = st.builds(Usage, st.integers(0, 400_000), st.integers(0, 1_000), st.integers(0, 5_000))


def test_a_batch_without_rows_cost_nothing() -> None:
    assert Settlement(TARIFF).comparison(0) == Comparison()


def test_rows_are_settled_each_by_its_own_tier() -> None:
    settlement = Settlement(TARIFF)
    assert settlement.add(Usage(1_000, 200, 100)) == pytest.approx(800 * 0.05e-6 + 200 * 0.005e-6 + 100 * 0.25e-6)
    assert settlement.add(Usage(300_000, 0, 0)) == pytest.approx(300_000 * 0.1e-6)
    assert settlement.add(Usage(2_000, cache_write_tokens=2_000)) == pytest.approx(2_000 * 0.0625e-6)
    assert settlement.cost_usd == pytest.approx(0.000066 + 0.03 + 0.000125)
    assert settlement.usage == Usage(303_000, 200, 100)


@given(st.lists(usages, max_size=8), st.lists(usages, max_size=8))
def test_the_cost_of_parts_is_the_cost_of_the_whole(first: list[Usage], second: list[Usage]) -> None:
    def settle(rows: list[Usage]) -> Settlement:
        settlement = Settlement(TARIFF)
        for row in rows:
            settlement.add(row)
        return settlement

    whole, parts = settle(first + second), [settle(first), settle(second)]
    assert whole.cost_usd == pytest.approx(sum(part.cost_usd for part in parts))
    apart, together = parts[0].comparison(1) + parts[1].comparison(2), whole.comparison(3)
    assert apart.records == together.records
    assert apart.realtime_usd == pytest.approx(together.realtime_usd)


@given(st.lists(usages, max_size=8))
def test_columns_are_settled_as_their_rows(rows: list[Usage]) -> None:
    one, many = Settlement(TARIFF), Settlement(TARIFF)
    costs = [one.add(row) for row in rows]
    columns = [[r.input_tokens for r in rows], [r.cached_tokens for r in rows], [r.output_tokens for r in rows]]
    assert many.add_columns(*columns) == costs
    assert many.usage == one.usage
    assert many.cost_usd == pytest.approx(one.cost_usd)


def test_a_report_shows_realtime_batch_saved_and_the_price_of_a_record() -> None:
    settlement = Settlement(TARIFF)
    settlement.add(Usage(100_000, 0, 20_000))
    comparison = settlement.comparison(records=10)
    assert comparison.realtime_usd == pytest.approx(0.02)
    assert comparison.batch_usd == comparison.paid_usd == comparison.flex_usd == pytest.approx(0.01)
    assert comparison.saved_usd == pytest.approx(0.01)
    assert comparison.saved_share == pytest.approx(0.5)
    assert comparison.per_record_usd == pytest.approx(0.001)


def test_local_pays_nothing_and_shows_what_it_would_have_been() -> None:
    settlement = Settlement(BOOK.tariff("local", "smollm2-135m", at=AT))
    assert settlement.add(Usage(100_000, 0, 20_000)) == 0
    comparison = settlement.comparison(records=10)
    assert comparison.paid_usd == 0
    assert (comparison.batch_usd, comparison.realtime_usd) == pytest.approx((0.01, 0.02))
    assert comparison.per_record_usd == pytest.approx(0.001)


def test_without_a_batch_price_nothing_is_saved() -> None:
    settlement = Settlement(BOOK.tariff("openai", "text-embedding-3-small", at=AT))
    settlement.add(Usage(1_000_000, 0, 0))
    assert settlement.comparison(1).saved_usd == 0
    assert settlement.cost_usd == pytest.approx(0.02)


def test_the_batchs_own_usage_is_compared_token_by_token() -> None:
    settlement = Settlement(TARIFF)
    settlement.add(Usage(100, 20, 5))
    settlement.add(Usage(50, 0, 5))
    same = BatchUsage(input_tokens=150, input_tokens_details=CachedTokens(cached_tokens=20), output_tokens=10)
    agreed = settlement.against(same)
    assert agreed is not None
    assert agreed.agrees
    other = settlement.against(BatchUsage(input_tokens=151, output_tokens=9))
    assert other is not None
    assert not other.agrees
    assert (other.input_tokens, other.cached_tokens, other.output_tokens) == (-1, 20, 1)
    assert settlement.against(None) is None


def test_a_realtime_job_is_compared_with_the_batch_that_it_was_not() -> None:
    tariff: Tariff = BOOK.tariff("openai", "gpt-6-luna", "realtime", AT)
    settlement = Settlement(tariff)
    settlement.add(Usage(100_000, 0, 0))
    comparison = settlement.comparison(1)
    assert comparison.paid_usd == comparison.realtime_usd == comparison.per_record_usd == pytest.approx(0.01)
    assert comparison.saved_usd == pytest.approx(0.005)
