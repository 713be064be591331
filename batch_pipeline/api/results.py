"""`/api/batch/{id}/results`: what became of each record, a page at a time, or all of them as JSON lines."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from batch_pipeline.api import cursors
from batch_pipeline.api.batches import JobId
from batch_pipeline.api.models import RecordShown, ResultPage
from batch_pipeline.api.service import Service
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger import jobs
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.warehouse.record_results import RecordResult, results_page

JSON_LINES = "application/jsonl"
ASKED_AS_LINES = (JSON_LINES, "application/x-ndjson", "application/x-jsonlines")
STREAMED_AT_ONCE = 10_000
"""Records that are in memory; the warehouse is free between two reads, however slow the client is."""


def routes(service: Service) -> APIRouter:
    """The route of one server."""
    router = APIRouter(prefix="/api/batch", tags=["batch"])

    @router.get(
        "/{job_id}/results",
        response_model=ResultPage,
        responses={200: {"content": {JSON_LINES: {"schema": {"type": "string"}}}}},
    )
    def show_results(
        job_id: JobId,
        form: Annotated[
            Literal["json", "jsonl"] | None, Query(alias="format", description="In place of the header Accept.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=10_000, description="Of a page; JSON lines are always all.")] = 100,
        cursor: cursors.RecordsCursor = None,
        accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response | ResultPage:
        """Read what became of a job's records."""
        asked = _asked(service.pipeline, job_id)
        lines = form == "jsonl" if form else any(kind in (accept or "") for kind in ASKED_AS_LINES)
        if lines:
            return StreamingResponse(_lines(service.pipeline, asked, cursor), media_type=JSON_LINES)
        page = _page(service.pipeline, asked, limit + 1, cursor)
        more = len(page) > limit
        shown = [_shown(one) for one in page[:limit]]
        return ResultPage(job_id=asked.job_id, results=shown, next_cursor=shown[-1].record_id if more else None)

    return router


@dataclass(frozen=True)
class _Asked:
    job_id: str
    task: str
    fields: Sequence[str]
    job_ids: Sequence[str]


def _asked(pipeline: Pipeline, job_id: str) -> _Asked:
    with pipeline.ledger.read() as db:
        chain = jobs.attempts(db, jobs.get(db, job_id).root_job_id)
    fields = tuple(TaskSnapshot.model_validate_json(chain[0].snapshot).answer_columns)
    return _Asked(chain[0].job_id, chain[0].task, fields, [job.job_id for job in chain])


def _page(pipeline: Pipeline, asked: _Asked, limit: int, after: str | None) -> list[RecordResult]:
    with pipeline.warehouse.read() as connection:
        return results_page(connection, asked.task, asked.fields, asked.job_ids, limit, after)


def _lines(pipeline: Pipeline, asked: _Asked, after: str | None) -> Generator[str]:
    while page := _page(pipeline, asked, STREAMED_AT_ONCE, after):
        yield "".join(f"{_shown(one).model_dump_json()}\n" for one in page)
        after = page[-1].record_id


def _shown(one: RecordResult) -> RecordShown:
    at = one.answered_at.isoformat() if one.answered_at else None
    return RecordShown.model_validate({**vars(one), "answered_at": at})
