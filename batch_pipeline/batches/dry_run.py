"""A dry run: what an order would come to, without a job, a file, or anything taken that another job may want."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, estimator_for, job_of, limits_of, snapshot_of
from batch_pipeline.batches.requests import asking
from batch_pipeline.batches.requests.counting import counting
from batch_pipeline.batches.requests.planner import Planner
from batch_pipeline.batches.requests.request_files import Limits, Requests
from batch_pipeline.batches.requests.select import connection_for, prepare
from batch_pipeline.ledger import fingerprints
from batch_pipeline.ledger.fingerprints import Holder
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.warehouse.cursors import second_cursor

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class DryRun:
    """What would be planned, as things are now. Of `local`, the prices are those of `PRICE_AS`, and none is paid."""

    job: Job
    """As it would be planned; it is not kept."""
    batches: int
    batch_usd: float
    realtime_usd: float

    @property
    def saved_usd(self) -> float:
        """What batch saves against realtime."""
        return self.realtime_usd - self.batch_usd


def dry_run(pipeline: Pipeline, order: Order, sql_seconds: float | None = None) -> DryRun:
    """Goes through the whole plan, and leaves nothing of it.

    Args:
        pipeline: The pipeline.
        order: What is asked for.
        sql_seconds: The longest that its SQL may run.

    Raises:
        InvalidTask: As `plan`.
        InvalidSelection: As `plan`.
        UnpricedModel: As `plan`.
    """
    snapshot = snapshot_of(pipeline, order)
    tariff = pipeline.prices.tariff(snapshot.provider, snapshot.model, snapshot.mode)
    counter = TokenCounter(tariff.paid.model)
    limits = limits_of(pipeline, snapshot)
    files = _Files(limits)

    prices = (tariff.paid, tariff.batch, tariff.realtime)
    paid, batch, realtime = (estimator_for(snapshot, price, counter) for price in prices)
    job = job_of(order, snapshot)
    with connection_for(pipeline.warehouse, order.selection) as connection, second_cursor(connection) as lookups:
        prepared = prepare(connection, order.task, order.wanted, sql_seconds)
        planner = _DryPlanner(pipeline, job, lookups, limits, force=order.force)
        with counting(counter, prepared.count) as counts:
            chunks = asking.selected(connection, order.task, snapshot, prepared, counts)
            with closing(chunks), closing(planner.decide(chunks)) as decisions:
                for decided in decisions:
                    requests = decided.requests()
                    files.add(requests)
                    for each in (paid, batch, realtime):
                        each.add(requests.tokens)
    total = paid.result()
    planned = replace(
        planner.tally.on(job, prepared.count),
        requests=total.requests,
        input_tokens=total.input_tokens,
        estimate_usd=total.estimate_usd,
        bound_usd=total.bound_usd,
    )
    return DryRun(planned, files.count, batch.result().estimate_usd, realtime.result().estimate_usd)


class _DryPlanner(Planner):
    """Decides as a plan does, and takes nothing."""

    def __init__(
        self, pipeline: Pipeline, job: Job, connection: DuckDBPyConnection, limits: Limits, *, force: bool
    ) -> None:
        super().__init__(pipeline, job, connection, limits, force=force)
        self._would_hold: dict[str, Holder] = {}

    def _take(self, wanted: Mapping[str, str]) -> Mapping[str, Holder]:
        with self._pipeline.ledger.read() as db:
            held = fingerprints.holders(db, list(wanted))
        held |= {fp: self._would_hold[fp] for fp in wanted if fp in self._would_hold}
        self._would_hold |= {fp: Holder(self._job.job_id, id_) for fp, id_ in wanted.items() if fp not in held}
        return held

    def _all_taken(self) -> None:
        pass

    def _settle(self, waiting: Iterable[str], not_sent: list[str]) -> None:
        for fingerprint in not_sent:
            self._would_hold.pop(fingerprint, None)


@dataclass
class _Files:
    """Counts the files that requests would be split into."""

    limits: Limits
    count: int = 0
    _inputs: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)

    def add(self, requests: Requests) -> None:
        for size, inputs in zip(requests.lines.sizes, requests.counts, strict=True):
            many = self._inputs + inputs > self.limits.max_requests
            if many or self._bytes + size > self.limits.max_bytes or not self.count:
                self.count, self._inputs, self._bytes = self.count + 1, 0, 0
            self._inputs, self._bytes = self._inputs + inputs, self._bytes + size
