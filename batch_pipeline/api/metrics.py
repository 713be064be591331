"""`/metrics`: what the ledger says, for Prometheus. Nothing is counted in this process: any server says the same."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import cast

from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, func, select
from starlette.responses import Response

from batch_pipeline.api.service import Service
from batch_pipeline.batches.money.admission import spent_in_periods
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import listed_at
from batch_pipeline.batches.standing.status import JobStatus, statuses
from batch_pipeline.ledger.tables import batches, notices, sends

NAME = "batch_pipeline"


def routes(service: Service) -> APIRouter:
    """The route of one server."""
    router = APIRouter(tags=["operations"])
    registry = CollectorRegistry()
    registry.register(_Ledger(service.pipeline))

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def show_metrics() -> Response:
        """Say in Prometheus' text what the ledger holds: jobs, batches, records, tokens, money."""
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return router


class _Ledger(Collector):
    """Reads the ledger when it is asked."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def describe(self) -> list[Metric]:
        """Nothing: to be registered, it need not be asked."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every figure, as it is now."""
        standing = statuses(self._pipeline)
        yield from _of_jobs(standing)
        with self._pipeline.ledger.read() as db:
            yield from _of_batches(db)
            yield _listed(db)
            waiting = select(func.count()).select_from(notices).where(notices.c.next_at.is_not(None))
            yield _gauge("notices_waiting", "Notices that have not arrived yet.", db.scalar(waiting) or 0)
            yield from _of_money(self._pipeline, db)


def _of_jobs(standing: list[JobStatus]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(f"{NAME}_jobs", "Jobs by task and state.", labels=["task", "state"])
    for (task, state), count in sorted(Counter((job.task, job.state) for job in standing).items()):
        jobs.add_metric([task, state], count)
    yield jobs
    records = GaugeMetricFamily(f"{NAME}_records", "Records by task and latest outcome.", labels=["task", "outcome"])
    outcomes = Counter[tuple[str, str]]()
    for job in standing:
        outcomes.update({(job.task, outcome): count for outcome, count in job.outcomes.items()})
    for (task, outcome), count in sorted(outcomes.items()):
        records.add_metric([task, outcome], count)
    yield records


def _of_batches(db: Connection) -> Iterator[Metric]:
    flying = select(func.count(), func.coalesce(func.sum(batches.c.input_tokens), 0)).where(
        batches.c.submitted_at.is_not(None), batches.c.ended_at.is_(None)
    )
    count, queued = db.execute(flying).one()
    yield _gauge("batches_in_flight", "Batches that the providers have and have not ended.", count)
    yield _gauge("input_tokens_in_flight", "Input tokens of these, by our count.", queued)
    tokens = CounterMetricFamily(f"{NAME}_tokens", "Tokens that the providers have billed.", labels=["kind"])
    for kind in ("input_tokens", "output_tokens"):
        used = select(func.coalesce(func.sum(batches.c.usage[kind].as_integer()), 0))
        tokens.add_metric([kind.removesuffix("_tokens")], cast(int, db.scalar(used)))
    yield tokens


def _listed(db: Connection) -> Metric:
    age = GaugeMetricFamily(
        f"{NAME}_last_poll_age_seconds", "Seconds since a provider was last listed.", labels=["provider"]
    )
    for provider, at in sorted(listed_at(db).items()):
        age.add_metric([provider], max(0.0, time.time() - at))
    return age


def _of_money(pipeline: Pipeline, db: Connection) -> Iterator[Metric]:
    claimed = select(sends.c.batch_id).where(sends.c.batch_id == batches.c.batch_id, sends.c.end.is_(None)).exists()
    reserved = select(func.coalesce(func.sum(batches.c.bound_usd), 0.0)).where(
        batches.c.collected_at.is_(None), claimed
    )
    spent = select(func.coalesce(func.sum(batches.c.cost_usd), 0.0))
    yield _counter("spent_usd", "USD spent, as settled.", cast(float, db.scalar(spent)))
    yield _gauge("reserved_usd", "USD that what is in flight may cost at worst.", cast(float, db.scalar(reserved)))
    in_period = GaugeMetricFamily(
        f"{NAME}_period_usd", "USD spent or reserved in the running day and month.", labels=["period"]
    )
    budget = GaugeMetricFamily(f"{NAME}_budget_usd", "What may be spent, where that is set.", labels=["period"])
    for period, limit, taken in spent_in_periods(db, pipeline.settings):
        in_period.add_metric([period], taken)
        if limit is not None:
            budget.add_metric([period], limit)
    if (of_job := pipeline.settings.budget_job_usd) is not None:
        budget.add_metric(["job"], of_job)
    yield in_period
    yield budget


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{NAME}_{name}", what, value=value)


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"{NAME}_{name}", what, value=value)
