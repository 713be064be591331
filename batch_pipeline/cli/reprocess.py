"""`reprocess`: failed records of earlier jobs, asked anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli import options
from batch_pipeline.cli.output import AsJson, finite_usd, plural, print_json, say
from batch_pipeline.cli.placed import placed_as_json, say_placed, show_dry_run, tell_what_waits
from batch_pipeline.cli.session import opened
from batch_pipeline.cli.submit import started_by_hand
from batch_pipeline.cli.told import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.reprocess import Again
    from batch_pipeline.batches.turn import Placed


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Ask anew what failed in earlier jobs.")(reprocess)


def reprocess(
    task: options.TaskName,
    *,
    code: Annotated[
        str | None, typer.Option("--code", metavar="CODE", help="With this error code or outcome, such as refused.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="That failed on this day (UTC) or later.")
    ] = None,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="That failed in this job.")] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="NAME", help="Of this variant of the task.")
    ] = None,
    key: options.Key = None,
    model: options.Model = None,
    provider: options.Asked = None,
    budget: options.Budget = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Show what failed and what it would come to.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask anew what failed in earlier jobs, as the task and the records are now; what was given up too.

    `retry JOB` sends a job's own requests again. Example: batch-pipeline reprocess issue-kind --code refused
    """
    from batch_pipeline.batches.plan import Order
    from batch_pipeline.batches.reprocess import Wanted, again, failed
    from batch_pipeline.batches.standing.days import day_start
    from batch_pipeline.tasks.registry import load_tasks

    found = load_tasks().get(task)
    metadata = started_by_hand()
    if (own := finite_usd(budget)) is not None:
        metadata["budget_usd"] = own
    template = Order(found, provider=provider, model=model, key=key, metadata=metadata)
    wanted = Wanted(found.name, code, day_start(since), job, variant)
    with opened() as pipeline:
        orders = again(found, wanted, failed(pipeline, wanted), template)
        if not orders and not as_json:
            say(f"Nothing to do: no record of `{found.name}` that failed so has no answer by now.")
        elif dry:
            _show(pipeline, orders, as_json=as_json)
        else:
            _place(pipeline, found.name, orders, as_json=as_json)


def _place(pipeline: Pipeline, task: str, orders: Sequence[Again], *, as_json: bool) -> None:
    from batch_pipeline.batches.reprocess import by_code
    from batch_pipeline.batches.reprocess import reprocess as ask_again

    placed: list[Placed] = []
    for one in orders:
        if not as_json:
            _say_failed(one)
        placed.append(ask_again(pipeline, one))
        if not as_json:
            say_placed(pipeline, placed[-1])
            _say_gone(one, placed[-1].job.selected)
    if as_json:
        failures = [each for one in orders for each in one.failures]
        told = [placed_as_json(pipeline, each) for each in placed]
        print_json({"task": task, "failed": by_code(failures), "jobs": told})
    for each in placed:
        tell_what_waits(each)


def _show(pipeline: Pipeline, orders: Sequence[Again], *, as_json: bool) -> None:
    """What it would come to, as if nothing was given up; nothing is forgiven."""
    from dataclasses import replace

    from batch_pipeline.batches.reprocess import by_code

    if as_json:
        failures = [each for one in orders for each in one.failures]
        records = len({(each.record_id, each.variant) for each in failures})
        print_json({"dry_run": True, "failed": by_code(failures), "records": records})
        return
    for one in orders:
        _say_failed(one)
        show_dry_run(pipeline, replace(one.order, force=True), as_json=False)


def _say_failed(one: Again) -> None:
    variant = f", {one.order.selection.variant}" if one.order.selection.variant else ""
    jobs = plural(len({each.root_job_id for each in one.failures}), "job")
    say(f"Failed in {jobs} of {one.order.task.name}{variant}: {counted(one.by_code)}.")


def _say_gone(one: Again, selected: int) -> None:
    if gone := len(one.order.selection.ids or ()) - selected:
        say(f"  {gone:,} are no longer among the task's records: `batch-pipeline retry JOB` sends what was asked then")
