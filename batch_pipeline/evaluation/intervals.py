"""How sure a score is: 95 % confidence intervals.

Accuracy: Wilson's score interval, which holds for few rows and for shares near 0 and 1 (Brown, Cai and DasGupta, 2001).
Macro F1 has no such formula: the percentiles of 1,000 bootstrap samples of the rows, drawn with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95
SAMPLES = 1_000
SEED = 20_261_120
_Z = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution."""


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float


def wilson(right: int, rows: int) -> Interval:
    """Of the share of `rows` that are right.

    Examples:
        >>> interval = wilson(8, 10)
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.49, 0.943)
    """
    if not rows:
        return Interval(0.0, 1.0)
    share, squared = right / rows, _Z * _Z
    middle = (share + squared / (2 * rows)) / (1 + squared / rows)
    half = _Z / (1 + squared / rows) * sqrt(share * (1 - share) / rows + squared / (4 * rows * rows))
    return Interval(middle - half if right else 0.0, middle + half if right < rows else 1.0)


def bootstrap(rows: int, score: Callable[[NDArray[np.intp]], float]) -> Interval:
    """Of a score that is computed from the numbers of rows, some of them twice.

    Args:
        rows: How many there are.
        score: Takes the numbers of `rows` rows.
    """
    import numpy as np

    draw = np.random.default_rng(SEED)
    scores = [score(draw.integers(0, rows, rows)) for _ in range(SAMPLES)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return Interval(float(low), float(high))
