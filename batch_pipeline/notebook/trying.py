"""A dry run: what a submission would come to; nothing of it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from batch_pipeline.batches import dry_run as dry
from batch_pipeline.batches.files import half, make_folder
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.notebook import store
from batch_pipeline.notebook.grouping import Group, Plan, groups_of
from batch_pipeline.notebook.items import Item
from batch_pipeline.notebook.known import asked_up_to, known_jobs, must_fit
from batch_pipeline.notebook.standing import DryRun


def dry_run(pipeline: Pipeline, wanted: Plan, items: Sequence[Item]) -> DryRun:
    """What `place` would come to; nothing is kept.

    Raises:
        PipelineError: As `place`.
    """
    pipeline.must_be_enabled()
    groups = groups_of(pipeline, wanted, items)
    known = known_jobs(pipeline, wanted.name)
    must_fit(wanted.name, groups, known)
    runs = [_dry(pipeline, wanted, group, known) for group in groups]
    through = [run for run in runs if run is not None]
    return DryRun(
        name=wanted.name,
        items=len(items),
        new=sum(run.job.selected for run in through),
        requests=sum(run.job.requests for run in through),
        reused=sum(run.job.reused for run in through),
        waiting=sum(run.job.waiting for run in through),
        given_up=sum(run.job.given_up for run in through),
        jobs=sum(1 for run in through if run.job.records),
        batches=sum(run.batches for run in through),
        input_tokens=sum(run.job.input_tokens for run in through),
        estimated_cost_usd=sum(run.job.estimate_usd for run in through),
        worst_cost_usd=sum(run.job.bound_usd for run in through),
        batch_usd=sum(run.batch_usd for run in through),
        realtime_usd=sum(run.realtime_usd for run in through),
    )


def _dry(pipeline: Pipeline, wanted: Plan, group: Group, known: Sequence[Job]) -> dry.DryRun | None:
    """Of the items that no job asks yet, read from a file that is gone afterwards."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name, up_to = group.task.name, asked_up_to(group, known)
    with pipeline.warehouse.read() as connection:
        ids = [item.record_id for item in group.items]
        there = {each.record_id: each for each in store.asked_of(connection, name, group.envelope, ids)}
        same = store.hashes(connection, name, group.envelope, ids)
    new = [
        item
        for item in group.items
        if same.get(item.record_id) != item.content_hash or there[item.record_id].position > up_to
    ]
    if not new:
        return None
    columns = {
        "record_id": [item.record_id for item in new],
        "position": list(range(len(new))),
        "content": [item.content for item in new],
    }
    make_folder(pipeline.data_dir)
    with half(pipeline.data_dir / f"python-{name}.parquet") as path:
        pq.write_table(pa.table(columns), path)  # pyright: ignore[reportUnknownMemberType] - its stubs leave it open
        task = replace(group.task, records=store.file_sql(path))
        return dry.dry_run(pipeline, Order(task, Selection(which="all"), mode=wanted.mode))
