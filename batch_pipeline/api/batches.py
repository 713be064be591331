"""`/api/batch`: make jobs, see where they stand, cancel them, try again."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import StringConstraints

from batch_pipeline.api import cursors, orders
from batch_pipeline.api.models import CreateBatch, CreatedBatch, JobPage, JobShown, JobType, RetriedJob, TaskName
from batch_pipeline.api.problems import Refused
from batch_pipeline.api.service import Service
from batch_pipeline.batches import listing
from batch_pipeline.batches.cancel import cancel
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.retry import retry
from batch_pipeline.batches.standing.status import JobState, JobStatus, status

JobId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,200}$", description="The job's id, or that of an attempt.")]
Pair = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}=[^\x00]{0,512}$")]
MOST_ON_A_PAGE = 500
PLANNED_WITHIN = 1.0
"""Seconds that an answer waits for the plan, where few orders are in the line."""


def routes(service: Service) -> APIRouter:
    """The routes of one server."""
    router = APIRouter(prefix="/api/batch", tags=["batch"])
    pipeline = service.pipeline

    @router.post(
        "/create",
        status_code=202,
        responses={200: {"model": CreatedBatch, "description": "Nothing was to do, or it was a dry run."}},
    )
    async def create_batch(
        asked: CreateBatch,
        response: Response,
        idempotency_key: Annotated[
            str | None,
            Header(pattern=r"^[!-~]{1,255}$", description="A call that is repeated with it makes no second job."),
        ] = None,
    ) -> CreatedBatch:
        """Make a job: it is planned and sent in the background, and waited for if that takes no time.

        With the answer the job is in the ledger: whatever is killed then, it is planned, sent and collected.
        """
        if asked.dry_run:
            response.status_code = 200
            return await service.line.run(partial(orders.dry_run, pipeline, asked))
        job = await service.keeper.keep(asked, idempotency_key)
        response.headers["location"] = f"/api/batch/{job.job_id}"
        if job.to_be_planned:
            planned = service.planning.plan(job.job_id)
            if not service.planning.is_short:
                return orders.to_be_planned(job)
            await asyncio.wait([asyncio.wrap_future(planned)], timeout=PLANNED_WITHIN)
        created = await anyio.to_thread.run_sync(orders.created, pipeline, job.job_id)
        if created.state == "done" and not created.records:
            response.status_code = 200
        return created

    @router.get("")
    def list_batches(
        task: Annotated[TaskName | None, Query(description="Of this task.")] = None,
        state: Annotated[JobState | None, Query(description="In this state.")] = None,
        job_type: Annotated[JobType | None, Query(description="Of this type.")] = None,
        meta: Annotated[list[Pair] | None, Query(max_length=16, description="With this metadata: `name=text`.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)] = 50,
        cursor: cursors.JobsCursor = None,
    ) -> JobPage:
        """List jobs, the newest first."""
        wanted = listing.Wanted(
            task=None if task is None else task.replace("-", "_"),
            job_type=job_type,
            meta=listing.read_meta(meta or ()),
            before=cursors.read_job(cursor),
        )
        page = listing.list_jobs(pipeline, wanted, limit, state)
        return JobPage(jobs=[_shown(job) for job in page.jobs], next_cursor=cursors.of_job(page.last))

    @router.get("/{job_id}")
    def show_batch(job_id: JobId) -> JobShown:
        """Show where a job stands, as the ledger knows it."""
        return _shown(status(pipeline, job_id))

    @router.post("/{job_id}/cancel", status_code=202)
    def cancel_batch(job_id: JobId) -> JobShown:
        """Stop a job: what is planned is not sent, what is in flight is asked back; what was done is kept."""
        cancel(pipeline, job_id)
        service.wake()
        return _shown(status(pipeline, job_id))

    @router.post("/{job_id}/retry", status_code=202)
    async def retry_batch(job_id: JobId) -> RetriedJob:
        """Send again what has no answer: what was given up, cancelled or lost too. Not before the job is through."""
        retried = await service.line.run(partial(_retry, pipeline, job_id))
        service.wake(*([retried.attempt] if retried.attempt else []))
        return retried

    return router


def _retry(pipeline: Pipeline, job_id: str) -> RetriedJob:
    pipeline.must_be_enabled()
    before = status(pipeline, job_id)
    if before.state not in ("done", "failed", "cancelled"):
        raise Refused(409, "not-through", f"Job `{before.job_id}` is {before.state}; retry it when it is through.")
    attempt = retry(pipeline, before.job_id, on_request=True)
    now = status(pipeline, before.job_id)
    return RetriedJob(**_shown(now).model_dump(), attempt=attempt.job_id if attempt else None)


def _shown(now: JobStatus) -> JobShown:
    return JobShown.model_validate(now)
