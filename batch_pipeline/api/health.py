"""`/healthz`: whether the ledger, the warehouse, the provider and the worker are there; it tells nothing else."""

from __future__ import annotations

import threading
import time

from fastapi import APIRouter, Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from batch_pipeline.api.models import Health, Healthy
from batch_pipeline.api.service import Service
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import MissingKey, PipelineError, WarehouseBusy, WarehouseUnreachable

WAREHOUSE_SECONDS = 2.0
"""Whoever writes there may write for long: it is busy then, and well."""
FRESH_SECONDS = 5.0
"""How long an answer of the warehouse holds: whoever asks more often than that is told the same."""


def routes(service: Service) -> APIRouter:
    """The route of one server."""
    router = APIRouter(tags=["operations"])
    warehouse = _WarehouseCheck(service.pipeline)

    @router.get("/healthz", responses={503: {"model": Healthy, "description": "Something has failed."}})
    def show_health(response: Response) -> Healthy:
        """Say whether this server can do its work; no token is needed."""
        found = _health(service, warehouse)
        response.status_code = 200 if found.status == "ok" else 503
        return found

    return router


def _health(service: Service, warehouse: _WarehouseCheck) -> Healthy:
    pipeline, worker = service.pipeline, service.worker
    ledger, of_warehouse, configured = _ledger(pipeline), warehouse.ask(), _configured(pipeline)
    stopped = worker is not None and not worker.alive
    failed = "failed" in (ledger, of_warehouse) or stopped or not configured
    return Healthy(
        status="failed" if failed else "ok",
        enabled=pipeline.settings.enabled,
        ledger=ledger,
        warehouse=of_warehouse,
        provider=pipeline.settings.provider,
        provider_configured=configured,
        worker="off" if worker is None else "stopped" if stopped else "running",
    )


def _ledger(pipeline: Pipeline) -> Health:
    try:
        with pipeline.ledger.read() as db:
            db.execute(text("SELECT 1"))
    except (PipelineError, SQLAlchemyError, OSError):
        return "failed"
    return "ok"


def _configured(pipeline: Pipeline) -> bool:
    try:
        pipeline.provider(pipeline.settings.provider)
    except MissingKey:
        return False
    return True


class _WarehouseCheck:
    """Asks in a thread of its own, of which there is one: a warehouse that is held keeps nobody else waiting."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._at = 0.0
        self._found: Health = "busy"

    def ask(self) -> Health:
        """What it says within `WAREHOUSE_SECONDS`."""
        with self._lock:
            if time.monotonic() - self._at < FRESH_SECONDS and self._at:
                return self._found
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._ask, name="health", daemon=True)
                self._asking.start()
            asking = self._asking
        asking.join(WAREHOUSE_SECONDS)
        return "busy" if asking.is_alive() else self._found

    def _ask(self) -> None:
        import duckdb

        try:
            with self._pipeline.warehouse.read() as connection:
                connection.execute("FROM schema_steps LIMIT 1").fetchall()
        except WarehouseUnreachable:
            self._found = "failed"
        except WarehouseBusy:
            self._found = "busy"
        except (PipelineError, duckdb.Error, OSError):
            self._found = "failed"
        else:
            self._found = "ok"
        self._at = time.monotonic()
