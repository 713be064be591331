"""What one batch may hold at each provider; known without a key, since planning needs none."""

from __future__ import annotations

from typing import NamedTuple

from batch_pipeline.settings import ProviderName
from batch_pipeline.wire import batch, messages


class BatchLimits(NamedTuple):
    """Requests of one batch, and bytes of its file as planned."""

    requests: int
    bytes: int


FLEX: frozenset[ProviderName] = frozenset({"openai"})
"""Who answers at once for the price of a batch, when there is room; embeddings aside."""

BATCH_LIMITS: dict[ProviderName, BatchLimits] = {
    "openai": BatchLimits(batch.MAX_REQUESTS, batch.MAX_FILE_BYTES),
    "local": BatchLimits(batch.MAX_REQUESTS, batch.MAX_FILE_BYTES),
    # less what claims and commas add to each request, and the body around them
    "anthropic": BatchLimits(messages.MAX_REQUESTS, messages.MAX_BODY_BYTES - 10 * messages.MAX_REQUESTS - 100),
}
