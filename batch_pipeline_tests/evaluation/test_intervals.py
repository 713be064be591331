from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.evaluation.intervals import bootstrap, wilson


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)],
)
def test_wilson_is_as_published(right: int, rows: int, low: float, high: float) -> None:
    """Newcombe (1998), table I, method 3."""
    interval = wilson(right, rows)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_narrows_with_rows(rows: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, rows))
    few, many = wilson(right, rows), wilson(10 * right, 10 * rows)
    assert few.low <= right / rows <= few.high
    assert many.high - many.low < few.high - few.low


def test_the_bootstrap_of_a_mean_is_about_that_of_the_normal_distribution() -> None:
    values = np.arange(100) % 2
    interval = bootstrap(100, lambda rows: float(values[rows].mean()))
    assert (interval.low, interval.high) == pytest.approx((0.402, 0.598), abs=0.02)
    assert bootstrap(100, lambda rows: float(values[rows].mean())) == interval
