"""Whether an order's task, SQL and filters fit the warehouse, before the order is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.requests.select import check, connection_for
from batch_pipeline.errors import WarehouseBusy

FRESH_SECONDS = 30.0
"""How long what was found right is taken for right: its plan checks it once more."""
BUSY_SECONDS = 2.0
"""How long a warehouse that another process writes to is waited for; the plan waits for longer."""


class KnownRight:
    """Checks orders, and those of a kind that was right a moment ago not again.

    Args:
        pipeline: The pipeline.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._known: dict[Hashable, float] = {}

    def check(self, order: Order) -> None:
        """Checks what the warehouse is needed for; where it is not to be had, the order is taken as it is.

        Raises:
            UsageError: As `check` of `select.py`.
        """
        kind, now = _kind(order), time.monotonic()
        if kind is not None and now - self._known.get(kind, -FRESH_SECONDS) < FRESH_SECONDS:
            return
        warehouse = self._pipeline.warehouse.patient(BUSY_SECONDS)
        try:
            with connection_for(warehouse, order.selection) as connection:
                check(connection, order.task, order.selection)
        except WarehouseBusy:
            return
        if kind is not None:
            with self._lock:
                self._known = {one: at for one, at in self._known.items() if now - at < FRESH_SECONDS} | {kind: now}


def _kind(order: Order) -> Hashable | None:
    """What is right or wrong together; each query is one by itself."""
    if order.selection.sql is not None:
        return None
    narrowed = tuple(name for name in ("night", "repo", "org", "state") if getattr(order.selection, name))
    return order.task.name, order.task.prompt_version(order.selection.variant), narrowed, order.selection.order
