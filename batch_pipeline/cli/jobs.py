"""`status` and `list`: where jobs stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.completion import job_ids
from batch_pipeline.cli.job_told import job_as_json, outcomes_told, spoken, status_of
from batch_pipeline.cli.log import tell_error
from batch_pipeline.cli.output import AsJson, Column, moment, plural, print_facts, print_json, print_table, say, usd
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.standing.overview import Overview
    from batch_pipeline.batches.standing.status import BatchStatus, JobStatus


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("status", short_help="Show where a job stands, or the whole.")(show_status)
    app.command("list")(list_jobs)


def show_status(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", autocompletion=job_ids, help="The job's id; without it, the whole.")
    ] = None,
    *,
    cached: Annotated[bool, typer.Option("--cached", help="Ask nobody: what the ledger knows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show where a job stands, or the whole; asks the provider first.

    Example: batch-pipeline status issue_kind-261120-1a2b3c --json
    """
    with opened() as pipeline:
        if job is None:
            _show_overview(pipeline, ask=not cached, as_json=as_json)
            return
        problem = None if cached else _ask(pipeline, job)
        _show_job(status_of(pipeline, job), as_json=as_json)
    if problem:
        tell_error(f"{problem} This is what was known before.")
        raise typer.Exit(1)


def list_jobs(
    *,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the newest first.")] = 50,
    job_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="task, eval, embedding or reprocess.")
    ] = None,
    meta: Annotated[
        list[str] | None, typer.Option("--meta", metavar="NAME=TEXT", help="Those with this metadata.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs, the newest first, as the ledger knows them.

    Example: batch-pipeline list --type eval --meta team=search
    """
    from batch_pipeline.batches import listing

    wanted = listing.Wanted(job_type=job_type, meta=listing.read_meta(meta or ()))
    with opened() as pipeline:
        found = listing.list_jobs(pipeline, wanted, limit).jobs
    if as_json:
        print_json([job_as_json(one) for one in found])
    elif not found:
        say("There are no jobs yet: `batch-pipeline submit TASK` makes one.")
    else:
        print_table(_LIST, [_row(one) for one in found])
        if described := [(one.job_id, _described(one)) for one in found if _described(one)]:
            say("\nDescribed:")
            print_facts(described)
        if waiting := [(one.job_id, one.waits_for) for one in found if one.waits_for]:
            say("\nWaiting:")
            print_facts(waiting)


def _ask(pipeline: Pipeline, job: str) -> str | None:
    """Asks the provider where the job stands; why it could not be asked."""
    from batch_pipeline.batches.poll import poll
    from batch_pipeline.errors import ProviderError

    provider = status_of(pipeline, job).provider
    try:
        poll(pipeline, provider)
    except ProviderError as error:
        return str(error)
    return None


def _show_job(now: JobStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(job_as_json(now))
        return
    attempts = f", {plural(now.attempts, 'attempt')}" if now.attempts > 1 else ""
    why = now.waits_for or now.error_message
    waits = f": {why}" if why else ""
    print_facts(
        [
            ("Job", now.job_id),
            ("Task", f"{now.task}, {now.model} at {now.provider}{_mode(now)}"),
            *([("Partition", now.partition_key)] if now.partition_key else []),
            *([("Canary", now.canary)] if now.canary else []),
            ("State", spoken(now.state) + waits),
            ("Records", f"{now.records:,}: {outcomes_told(now)}"),
            ("Requests", f"{now.requests:,} in {plural(len(now.batches), 'batch', 'batches')}{attempts}"),
            ("Cost", f"{usd(now.cost_usd)}, estimated at {usd(now.estimated_cost_usd)}"),
            ("Created", moment(now.created_at)),
        ]
    )
    if now.batches:
        say()
        print_table(_BATCHES, [_batch_row(now, batch) for batch in now.batches])
    for batch in now.batches:
        if batch.state == "held":
            say(f"Next: batch-pipeline resolve {batch.batch_id}")


def _show_overview(pipeline: Pipeline, *, ask: bool, as_json: bool) -> None:
    from batch_pipeline.batches.standing.overview import overview

    whole = overview(pipeline, ask=ask)
    if as_json:
        print_json(vars(whole) | {"jobs": dict(whole.jobs)})
        return
    jobs = ", ".join(f"{count:,} {spoken(state)}" for state, count in whole.jobs.items()) or "none yet"
    print_facts(
        [
            ("Provider", f"{whole.provider}, {whole.model}, {whole.base_url}"),
            *_reachable(whole, ask=ask),
            *([] if whole.enabled else [("Disabled", "BATCH_PIPELINE_ENABLED is false: nothing is planned or sent")]),
            ("Issues", f"{whole.issues:,} of {plural(whole.repos, 'repository', 'repositories')}"),
            ("Jobs", jobs),
            ("Spent", usd(whole.cost_usd)),
            ("Ledger", whole.ledger),
            ("Warehouse", str(whole.warehouse)),
        ]
    )


def _reachable(whole: Overview, *, ask: bool) -> list[tuple[str, str]]:
    return [("Answers", whole.problem or "yes")] if ask else []


def _mode(now: JobStatus) -> str:
    return "" if now.mode == "batch" else f", {now.mode}"


def _described(now: JobStatus) -> str:
    kind = [] if now.job_type == "task" else [now.job_type]
    return ", ".join([*kind, *(f"{name}={value}" for name, value in now.metadata.items())])


def _row(now: JobStatus) -> tuple[object, ...]:
    answered = f"{now.answered:,}/{now.records:,}"
    return now.job_id, spoken(now.state), answered, usd(now.cost_usd), moment(now.created_at)


def _batch_row(now: JobStatus, batch: BatchStatus) -> tuple[object, ...]:
    """A batch's id without that of its job: `0000`, and `again2-0000` of a later attempt."""
    number = batch.batch_id.removeprefix(f"{now.job_id}-")
    done = f"{batch.completed:,}/{batch.total:,}"
    return number, spoken(batch.state), batch.remote_status or "", done, batch.remote_id or ""


_LIST = (
    Column("Job"),
    Column("State"),
    Column("Answered", right=True),
    Column("Cost", right=True),
    Column("Created"),
)
_BATCHES = (
    Column("Batch"),
    Column("State"),
    Column("At the provider"),
    Column("Done", right=True),
    Column("Its id there", shrinks=True),
)
