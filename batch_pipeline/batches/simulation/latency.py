"""How long a batch is at the provider. Nobody promises more than 24 hours; this is what was seen, as a distribution.

The default is a lognormal with a median of 7 minutes of which nine in ten end within an hour, cut at the window of 24
hours. Source: OpenRouter's announcement of its batch API (openrouter.ai/blog/announcements/batch-api), over 230,000
batches at several providers. It is an assumption for yours: those batches were smaller than 50,000 requests on average,
and what a provider has to spare changes by the hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW_SECONDS = 24 * 3600.0
"""After it a batch expires; what it has not answered goes again."""
_NINE_IN_TEN = NormalDist().inv_cdf(0.9)


@dataclass(frozen=True)
class Latency:
    """Seconds from a batch's creation to its end: half of all take `median` at most, nine in ten `p90` at most."""

    median: float = 7 * 60.0
    p90: float = 3600.0

    @property
    def spread(self) -> float:
        """The standard deviation of the logarithm."""
        from math import log

        return log(max(1.0, self.p90 / self.median)) / _NINE_IN_TEN

    def draw(self, count: int, seed: int) -> NDArray[np.float64]:
        """Seconds of so many batches; the same for the same seed, and the first ones the same for any count."""
        import numpy as np

        drawn = np.random.default_rng(seed).lognormal(np.log(self.median), self.spread, count)
        return np.minimum(drawn, WINDOW_SECONDS)
