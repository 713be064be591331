"""The application: its routes, what stands before them, and what begins and ends with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware

from batch_pipeline.api import batches, health, metrics, openapi, problems, reports, results, schedules, webhooks
from batch_pipeline.api.guard import Guard
from batch_pipeline.api.keeping import Keeper
from batch_pipeline.api.planning import Planning
from batch_pipeline.api.service import LONG_AT_ONCE, MOST_WAITING, READS_AT_ONCE, Line, Service
from batch_pipeline.api.worker import Worker
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.tasks.registry import load_tasks

WORKER_SECONDS = 20.0
"""How long the round that is under way gets when the server ends."""


def make_app(pipeline: Pipeline, token: str | None, *, works: bool = True) -> FastAPI:
    """The application of one server.

    Args:
        pipeline: The pipeline; whoever gives it closes it.
        token: Who has it may ask; None: everybody.
        works: Whether it sends, polls and collects too; else Dagster does.
    """
    line, keeper = Line(LONG_AT_ONCE, MOST_WAITING), Keeper(pipeline)
    worker = Worker(pipeline, lambda: keeper.busy or line.waiting > 0) if works else None
    planning = Planning(pipeline, worker.wake if worker else None, lambda: keeper.busy)
    service = Service(pipeline, worker, planning, keeper, line)
    app = FastAPI(
        title="batch_pipeline",
        version="1",
        description="Rows and a prompt in, a table of typed answers out, through the provider Batch APIs.",
        docs_url=None,  # its page loads a program from elsewhere
        redoc_url=None,
        lifespan=partial(_lifespan, service),
        middleware=[Middleware(Guard, token=token)],
        strict_content_type=True,
    )
    problems.add_to(app)
    for module in (schedules, batches, results, reports, health, metrics, webhooks):
        app.include_router(module.routes(service))
    openapi.add_to(app, with_token=token is not None)
    return app


@asynccontextmanager
async def _lifespan(service: Service, _: FastAPI) -> AsyncGenerator[None]:
    """The ledger is opened before many threads ask it at once."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = READS_AT_ONCE
    with service.pipeline.ledger.read():
        load_tasks()
    worker = service.worker
    if worker is not None:
        worker.start()
    service.planning.start()
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(service.planning.stop)
        if worker is not None:
            await anyio.to_thread.run_sync(worker.stop, WORKER_SECONDS)
