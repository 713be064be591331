"""Plan and submit: what a run of `<task>/requests` and `<task>/submission` does, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import dagster as dg

from batch_pipeline.assets import keys, metadata
from batch_pipeline.assets.cells import Cell, Cells, Select, attempt_of, root_run_id
from batch_pipeline.assets.reporting import Event, failed, made
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing.due import ASSET, past_window
from batch_pipeline.batches.standing.status import BatchStatus, JobStatus, status
from batch_pipeline.batches.submit_all import Sent, submit_all
from batch_pipeline.errors import InvalidSelection, WarehouseBusy
from batch_pipeline.ledger import jobs
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.tasks.task import BatchTask

OPEN_FOR = 20
"""Cells that are planned with one opening of the warehouse, which takes 20 ms; who writes waits for so many."""


@dataclass(frozen=True)
class Asked:
    """What a run was asked for: to plan, to send, or both; `jobs` are those to send where it names any.

    `variants`, `order` and `limit` narrow the plan; the task's own where there are none.
    """

    task: BatchTask
    select: Select
    plans: bool
    sends: bool
    jobs: Sequence[str] = field(default_factory=list[str])
    variants: Sequence[str] = ()
    order: tuple[str, ...] | None = None
    limit: int | None = None

    def selections(self, key: str | None) -> list[Selection]:
        """What a cell asks about: once for each variant.

        Raises:
            InvalidSelection: It is a query, which needs a connection of its own: that belongs into `records`.
        """
        base = self.select(key) if key is not None else Selection()
        if base.sql is not None:
            raise InvalidSelection(f"Task `{self.task.name}`: put the query into its `records`, and narrow those.")
        base = replace(base, order=self.order or base.order, limit=base.limit if self.limit is None else self.limit)
        asked_as = self.variants or ((base.variant,) if base.variant else self.task.asked_as)
        return [replace(base, variant=variant) for variant in asked_as]


def run(context: dg.AssetExecutionContext, pipeline: Pipeline, cells: Cells, asked: Asked) -> Iterator[Event]:
    """Plans each cell, then sends what is planned; reports the cells that worked, and why others did not.

    Raises:
        dagster.Failure: The run is of a single cell, and that did not work.
    """
    task, broken = asked.task, dict[Cell, Exception]()
    planned: dict[Cell, list[Job]] = {}
    if asked.plans:
        for start in range(0, len(cells.cells), OPEN_FOR):
            for cell, found in _plan_all(context, pipeline, asked, cells.cells[start : start + OPEN_FOR]):
                if isinstance(found, Exception):
                    broken[cell] = found
                    yield from failed(context, keys.requests_key(task.name), cell, found, attempt_of(context))
                else:
                    planned[cell] = found
                    yield made(keys.requests_key(task.name), cell, metadata.of_plan(found), wide=cells.wide)
    else:
        planned = _planned_before(pipeline, asked, cells)
    if asked.sends:
        yield from _send(context, pipeline, planned, asked, wide=cells.wide)
    if broken and not cells.wide:
        raise _failure(task, *broken.popitem())


def _plan_all(
    context: dg.AssetExecutionContext, pipeline: Pipeline, asked: Asked, cells: Sequence[Cell]
) -> list[tuple[Cell, list[Job] | Exception]]:
    """The jobs of some cells, or why there are none; the warehouse is opened once for all of them."""
    try:
        with pipeline.warehouse.read():
            return [(cell, _plan_or_not(context, pipeline, asked, cell)) for cell in cells]
    except WarehouseBusy as busy:
        return [(cell, busy) for cell in cells]


def _plan_or_not(
    context: dg.AssetExecutionContext, pipeline: Pipeline, asked: Asked, cell: Cell
) -> list[Job] | Exception:
    try:
        return [_plan(context, pipeline, asked.task, cell, selection) for selection in asked.selections(cell.key)]
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one cell, the others go on
        return error


def _plan(
    context: dg.AssetExecutionContext, pipeline: Pipeline, task: BatchTask, cell: Cell, selection: Selection
) -> Job:
    made_for = {ASSET: keys.submission_key(task.name).to_user_string(), "run_id": context.run.run_id}
    key = root_run_id(context)
    order = Order(task, selection, key=key, partition_key=cell.key, canary=task.canary, metadata=made_for)
    job = plan(pipeline, order)
    told = "%s: %d of %d records to account for, %d requests to send"
    where = f"{cell}, {selection.variant}" if selection.variant else str(cell)
    context.log.info(told, where, job.records, job.selected, job.requests)
    return job


def _planned_before(pipeline: Pipeline, asked: Asked, cells: Cells) -> dict[Cell, list[Job]]:
    found: dict[Cell, list[Job]] = {}
    by_key = {cell.key: cell for cell in cells.cells}
    with pipeline.ledger.read() as db:
        for job in jobs.not_closed(db):
            named = job.root_job_id in asked.jobs if asked.jobs else job.task == asked.task.name
            if named and job.partition_key in by_key and job.planned_at is not None:
                found.setdefault(by_key[job.partition_key], []).append(job)
    return found


def _send(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    planned: Mapping[Cell, Sequence[Job]],
    asked: Asked,
    *,
    wide: bool,
) -> Iterator[Event]:
    submission_key = keys.submission_key(asked.task.name)
    sent = submit_all(pipeline, [job for found in planned.values() for job in found if job.records])
    unsent = list[str]()
    for cell, found in planned.items():
        standing = [status(pipeline, job.job_id) for job in found if job.records]
        reasons = _reasons(standing, sent)
        if not reasons:
            yield made(submission_key, cell, metadata.of_submission(_as_sent(pipeline, found), standing), wide=wide)
            continue
        if not all(batch.wait_kind == "canary" for batch in _waiting(standing)):
            unsent.append(reasons[0])
        stopped_by_canary = any(now.stopped for now in standing)  # its reason may quote an answer
        why = "stopped by its canary, see the observation" if stopped_by_canary else "; ".join(reasons)
        context.log.warning("%s: not sent yet: %s. The monitor asks again.", cell, why)
        yield dg.AssetObservation(
            submission_key,
            description=f"Not sent yet: {reasons[0]}",
            partition=cell.key,
            metadata={"job": ", ".join(job.job_id for job in found), "waits for": "; ".join(reasons)},
        )
    if dg.AssetCheckKey(submission_key, keys.WITHIN_WINDOW) in context.selected_asset_check_keys:
        yield within_window(pipeline, asked.task.name)
    if unsent and not wide:
        raise dg.Failure(f"Not sent yet: {unsent[0]}. Nothing is lost: the monitor asks again.", allow_retries=False)


def _as_sent(pipeline: Pipeline, planned: Sequence[Job]) -> list[Job]:
    """The jobs with what was noted of them meanwhile; those without records are not kept."""
    with pipeline.ledger.read() as db:
        return [jobs.get(db, job.job_id) if job.records else job for job in planned]


def within_window(pipeline: Pipeline, task: str) -> dg.AssetCheckResult:
    """Whether nothing of the task is in flight after its window."""
    late = past_window(pipeline).get(task, [])
    return dg.AssetCheckResult(
        passed=not late,
        asset_key=keys.submission_key(task),
        check_name=keys.WITHIN_WINDOW,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata.of_late(late),
    )


def _reasons(standing: Sequence[JobStatus], sent: Sent) -> list[str]:
    """Why batches of the jobs are not at the provider."""
    found: dict[str, None] = {}
    for now in standing:
        otherwise = str(sent.stopped.get(now.provider, "another process is sending it"))
        found |= {sent.not_yet.get(batch.batch_id) or otherwise: None for batch in _waiting([now])}
    return list(found)


def _waiting(standing: Sequence[JobStatus]) -> list[BatchStatus]:
    batches = [batch for now in standing for batch in now.batches]
    return [batch for batch in batches if batch.state in ("planned", "sending", "held")]


def _failure(task: BatchTask, cell: Cell, error: Exception) -> dg.Failure:
    failure = dg.Failure(f"`{task.name}` could not be planned for {cell}: {error}", allow_retries=False)
    failure.__cause__ = error
    return failure
