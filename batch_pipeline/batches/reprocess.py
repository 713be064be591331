"""Reprocess: a new job over records whose newest result is no answer, of whatever earlier jobs.

A retry sends a job's own lines again; this asks anew, by the task and the records as they are now: where a prompt was
too long, or a schema refused, the task's file was corrected in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import select

from batch_pipeline.batches.outcomes.judging import GIVEN_UP, GOES_AGAIN, ON_REQUEST
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan, snapshot_of
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.submit import Submitted
from batch_pipeline.batches.turn import Placed, submit_job
from batch_pipeline.errors import UsageError
from batch_pipeline.ledger import events, fingerprints, jobs
from batch_pipeline.ledger.tables import jobs as job_rows
from batch_pipeline.tasks.task import BatchTask
from batch_pipeline.warehouse import failures as warehouse
from batch_pipeline.warehouse.failures import Asked, Failure

JOB_TYPE = "reprocess"
_FAILED = GIVEN_UP | GOES_AGAIN | ON_REQUEST


@dataclass(frozen=True)
class Wanted:
    """Which failed records are meant: of one task or of all, by error code or outcome, since when, of which job."""

    task: str | None = None
    code: str | None = None
    since: float | None = None
    job_id: str | None = None
    variant: str | None = None


@dataclass(frozen=True)
class Again:
    """An order over failed records of one task and variant, and what they failed in."""

    order: Order
    failures: Sequence[Failure]

    @property
    def by_code(self) -> dict[str, int]:
        """How many of the records failed with which code."""
        return by_code(self.failures)


def failed(pipeline: Pipeline, wanted: Wanted) -> list[Failure]:
    """The failed records that are meant; those of a job that still goes on by itself are not.

    Raises:
        UnknownJob: There is no job of that id.
        UsageError: The job is another task's.
        WarehouseBusy: Another process holds the warehouse for longer than we wait.
    """
    root = _root(pipeline, wanted)
    asked = _asked(pipeline, wanted.task)
    with pipeline.warehouse.read() as connection:
        found = warehouse.failures(connection, asked, _FAILED, task=wanted.task, code=wanted.code, since=wanted.since)
    return [each for each in found if root in (None, each.root_job_id) and wanted.variant in (None, each.variant)]


def by_code(found: Sequence[Failure]) -> dict[str, int]:
    """How many failed with which code, the most first."""
    return dict(Counter(each.code for each in found).most_common())


def again(task: BatchTask, wanted: Wanted, found: Sequence[Failure], template: Order) -> list[Again]:
    """The orders that ask for failed records anew, one a variant.

    Args:
        task: Theirs.
        wanted: How they were meant; kept with the job.
        found: The records.
        template: Provider, model, key and metadata of the orders.
    """
    by_variant: dict[str | None, list[Failure]] = {}
    for each in found:
        by_variant.setdefault(each.variant, []).append(each)
    return [
        Again(_order(task, variant, wanted, of_variant, template), of_variant)
        for variant, of_variant in by_variant.items()
    ]


def reprocess(pipeline: Pipeline, one: Again) -> Placed:
    """Plans an order of `again`, and sends it; its requests, and no others, are no longer given up.

    What was answered meanwhile is not asked again.

    Raises:
        PipelineError: As `place`; what was given up is so still.
    """
    pipeline.must_be_enabled()
    pipeline.provider(snapshot_of(pipeline, one.order).provider)
    wanted = [each.fingerprint for each in one.failures if each.fingerprint is not None]
    with _forgiven(pipeline, wanted) as given_up:
        job = plan(pipeline, one.order)
        if job.records:
            given_up.clear()
    if not job.records:
        return Placed(job, Submitted())
    with pipeline.ledger.begin() as db:
        for root, records in Counter(each.root_job_id for each in one.failures).items():
            events.record(db, "reprocessed", root, records=records, by=job.job_id)
    return Placed(job, submit_job(pipeline, job.job_id))


def _root(pipeline: Pipeline, wanted: Wanted) -> str | None:
    if wanted.job_id is None:
        return None
    with pipeline.ledger.read() as db:
        job = jobs.get(db, wanted.job_id)
    if wanted.task not in (None, job.task):
        raise UsageError(f"Job `{job.job_id}` is one of `{job.task}`, not of `{wanted.task}`.")
    return job.root_job_id


def _asked(pipeline: Pipeline, task: str | None) -> list[Asked]:
    """The jobs and attempts whose answers are a task's own; those of an evaluation are not."""
    columns = (job_rows.c.job_id, job_rows.c.root_job_id, job_rows.c.selection["variant"].as_string())
    rows = select(*columns, job_rows.c.closed_at.is_not(None)).where(job_rows.c.job_type != "eval")
    if task is not None:
        rows = rows.where(job_rows.c.task == task)
    with pipeline.ledger.read() as db:
        return [Asked(*row) for row in db.execute(rows)]


def _order(task: BatchTask, variant: str | None, wanted: Wanted, found: Sequence[Failure], template: Order) -> Order:
    roots = list(dict.fromkeys(each.root_job_id for each in found))
    since = None if wanted.since is None else datetime.fromtimestamp(wanted.since, UTC).isoformat()
    meant = {"code": wanted.code, "since": since, "failed": by_code(found), "jobs": roots}
    return replace(
        template,
        task=task,
        selection=Selection(
            ids=tuple(dict.fromkeys(each.record_id for each in found)), variant=variant, which="outdated"
        ),
        job_type=JOB_TYPE,
        metadata={**template.metadata, "reprocesses": {name: value for name, value in meant.items() if value}},
    )


@contextmanager
def _forgiven(pipeline: Pipeline, wanted: Sequence[str]) -> Generator[list[Mapping[str, object]]]:
    """Lets these be asked again; what is left in the list at the end is given up as before."""
    with pipeline.ledger.begin() as db:
        given_up = fingerprints.forgive(db, wanted)
    try:
        yield given_up
    finally:
        if given_up:
            with pipeline.ledger.begin() as db:
                fingerprints.give_up_again(db, given_up)
