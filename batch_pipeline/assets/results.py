"""Collect: what a run of `<task>/results` does, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dagster as dg

from batch_pipeline.assets import checks, keys, metadata
from batch_pipeline.assets.advance import Advanced, advance
from batch_pipeline.assets.cells import Cell, Cells, attempt_of
from batch_pipeline.assets.figures import CellFacts, facts_of
from batch_pipeline.assets.reporting import Event, failed, made
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.due import note_reported
from batch_pipeline.ledger import partitions
from batch_pipeline.tasks.task import BatchTask


def run(
    context: dg.AssetExecutionContext, pipeline: Pipeline, cells: Cells, task: BatchTask, named: Sequence[str]
) -> Iterator[Event]:
    """Collects the jobs of each cell; reports the cells that are through, and why others are not.

    Raises:
        dagster.Failure: The run is of a single cell, and that could not be collected.
    """
    roots, canaries = _jobs_of(pipeline, task, cells, named)
    done = advance(pipeline, [*canaries, *(root for found in roots.values() for root in found)], context.log.info)
    found = facts_of(pipeline, task.name, list(task.answer_columns), roots)
    for facts in found:
        yield from _report(context, pipeline, task, facts, done, wide=cells.wide)
    yield from checks.evaluate(context, task, found)
    if done.broken and not cells.wide:
        raise _failure(task, cells.cells[0], next(iter(done.broken.values())))


def _jobs_of(
    pipeline: Pipeline, task: BatchTask, cells: Cells, named: Sequence[str]
) -> tuple[dict[Cell, list[str]], list[str]]:
    """The jobs that are named; of each cell, where none are, those that are open and each variant's newest.

    A cell of a range that none of the named jobs is of is none of this run's business. Canaries are apart: what is
    told of a cell is told of the job that one goes before.
    """
    by_key = {cell.key: cell for cell in cells.cells}
    with pipeline.ledger.read() as db:
        jobs = [job for job in partitions.of_task(db, task.name) if job.partition_key in by_key]
    if named:
        wanted = {job.root_job_id for job in jobs} & set(named)
        wanted |= {job.root_job_id for job in jobs if job.canary in wanted}
    else:
        newest = {(job.partition_key, job.variant): job.root_job_id for job in jobs if not job.is_canary}
        wanted = {*newest.values(), *(job.root_job_id for job in jobs if not job.closed)}
    found: dict[Cell, dict[str, None]] = {} if named else {cell: {} for cell in cells.cells}
    for job in jobs:
        if job.root_job_id in wanted and not job.is_canary:
            found.setdefault(by_key[job.partition_key], {})[job.root_job_id] = None
    canaries = dict.fromkeys(job.root_job_id for job in jobs if job.is_canary and job.root_job_id in wanted)
    return {cell: list(found[cell]) for cell in cells.cells if cell in found}, list(canaries)


def _report(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    task: BatchTask,
    facts: CellFacts,
    done: Advanced,
    *,
    wide: bool,
) -> Iterator[Event]:
    key, cell = keys.results_key(task.name), facts.cell
    broken = next((done.broken[job.now.job_id] for job in facts.jobs if job.now.job_id in done.broken), None)
    if broken is not None:
        yield from failed(context, key, cell, broken, attempt_of(context))
    elif facts.final:
        context.log.info("%s: %d of %d records answered", cell, facts.outcomes["answered"], facts.outcomes.total())
        yield made(key, cell, metadata.of_results(facts), wide=wide)
        with pipeline.ledger.begin() as db:  # after Dagster has stored the event: a run that dies before tells it again
            note_reported(db, [job.now.job_id for job in facts.jobs])
    else:
        why = _why_not_through(facts, done)
        context.log.info("%s: not through yet: %s", cell, why)
        yield dg.AssetObservation(
            key,
            description=f"Not through yet: {why}",
            partition=cell.key,
            metadata=metadata.of_results(facts),
        )


def _why_not_through(facts: CellFacts, done: Advanced) -> str:
    """In words, of the first job that is not."""
    job = next(job.now for job in facts.jobs if not job.final)
    going = job.outcomes.get("pending", 0)
    told = done.not_yet.get(job.job_id) or job.waits_for or f"{going:,} of {job.records:,} records are on their way"
    return f"{job.state.replace('_', ' ')}, {told}"


def _failure(task: BatchTask, cell: Cell, error: Exception) -> dg.Failure:
    failure = dg.Failure(f"`{task.name}` could not be collected for {cell}: {error}", allow_retries=False)
    failure.__cause__ = error
    return failure
