"""`submit`: plan a job and send it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from batch_pipeline.cli.issues import load_files, say_loaded, tell_problems
from batch_pipeline.cli.log import tell_error
from batch_pipeline.cli.output import AsJson, finite_usd, plural, print_facts, print_json, say, usd
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from batch_pipeline.batches.dry_run import DryRun
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.plan import Order
    from batch_pipeline.batches.select import Which
    from batch_pipeline.batches.turn import Placed
    from batch_pipeline.ledger.jobs import Job
    from batch_pipeline.sources.files import Loaded

Provider = Literal["openai", "anthropic", "local"]


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Plan a job and send it; print its id.")(submit)


@dataclass(frozen=True)
class SubmittedJob:
    """What `submit --json` prints; `job_id` is null where nothing was to do."""

    job_id: str | None
    task: str
    state: str | None
    records: int
    requests: int
    reused: int
    batches: int
    input_tokens: int
    estimated_cost_usd: float


def submit(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's name.")],
    *,
    files: Annotated[
        list[str] | None,
        typer.Option("--files", metavar="GLOB", help="Load these issue files, and take their issues only."),
    ] = None,
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Records of this owner.")] = None,
    repo: Annotated[
        str | None, typer.Option("--repo", metavar="OWNER/NAME", help="Records of this repository, OWNER/NAME.")
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Records in this state, such as open.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=0, help="At most so many records.")] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--ids", metavar="IDS", help="These records, separated by commas.")
    ] = None,
    missing: Annotated[bool, typer.Option("--missing-analysis", help="Only records without any answer.")] = False,
    outdated: Annotated[bool, typer.Option("--outdated", help="Also records answered by an older prompt.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Everything, what was answered included: paid again.")] = False,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Called again with it, the same job goes on.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="The model, in place of the task's.")
    ] = None,
    provider: Annotated[
        Provider | None, typer.Option("--provider", help="Who answers, in place of the task's.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="NAME", help="One of the task's named prompts.")
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", metavar="USD", min=0, help="What the job may cost with its attempts, at worst."),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Show what it would come to; send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Plan a job and send it; print its id.

    Example: batch-pipeline submit issue-kind --repo acme/orbit --budget 2.50
    """
    from batch_pipeline.batches.plan import Order
    from batch_pipeline.batches.select import Selection
    from batch_pipeline.tasks.registry import load_tasks

    metadata: dict[str, object] = {"origin": "command"}
    if (own := finite_usd(budget)) is not None:
        metadata["budget_usd"] = own
    which = _which(missing=missing, outdated=outdated, force=force)
    found = load_tasks().get(task)
    with opened() as pipeline:
        loaded = load_files(pipeline, files) if files else None
        if loaded and not as_json:
            say_loaded(loaded)
        selection = Selection(
            repo=repo, org=org, state=state, ids=_ids(ids, loaded), limit=limit, variant=variant, which=which
        )
        order = Order(found, selection, provider=provider, model=model, key=key, force=force, metadata=metadata)
        (_dry_run if dry else _place)(pipeline, order, as_json=as_json)
    if loaded and loaded.problems:
        tell_problems(loaded)
        raise typer.Exit(1)


def _which(*, missing: bool, outdated: bool, force: bool) -> Which:
    if missing + outdated + force > 1:
        raise typer.BadParameter("--missing-analysis, --outdated and --force exclude each other; give one.")
    return "missing" if missing else "outdated" if outdated else "all" if force else "new"


def _ids(given: list[str] | None, loaded: Loaded | None) -> tuple[str, ...] | None:
    """The records asked for by id, and those of the files; both together: what is in both."""
    asked = None if given is None else tuple(part.strip() for one in given for part in one.split(",") if part.strip())
    if loaded is None:
        return asked
    return loaded.record_ids if asked is None else tuple(one for one in loaded.record_ids if one in set(asked))


def _place(pipeline: Pipeline, order: Order, *, as_json: bool) -> None:
    from batch_pipeline.batches.status import status
    from batch_pipeline.batches.turn import place

    placed = place(pipeline, order)
    state = status(pipeline, placed.job.job_id).state if placed.job.records else None
    batches = len(status(pipeline, placed.job.job_id).batches) if placed.job.records else 0
    if as_json:
        print_json(vars(_submitted(placed.job, state, batches)))
    elif not placed.job.records:
        say(_nothing(placed.job))
    else:
        _say_placed(placed, batches)
    _tell_what_waits(placed)


def _submitted(job: Job, state: str | None, batches: int) -> SubmittedJob:
    return SubmittedJob(
        job_id=job.job_id if state else None,
        task=job.task,
        state=state,
        records=job.records,
        requests=job.requests,
        reused=job.reused,
        batches=batches,
        input_tokens=job.input_tokens,
        estimated_cost_usd=job.estimate_usd,
    )


def _nothing(job: Job) -> str:
    """Why there is nothing to do."""
    if not job.selected:
        return f"Nothing to do: no record of `{job.task}` matches. Nothing was submitted."
    given_up = f", {job.given_up:,} given up" if job.given_up else ""
    return (
        f"Nothing to do: of {plural(job.selected, 'record')}, {job.skipped:,} answered already{given_up}. "
        "Nothing was submitted; --outdated or --force asks again."
    )


def _say_placed(placed: Placed, batches: int) -> None:
    job = placed.job
    sent = len(placed.sent.created)
    share = plural(batches, "batch", "batches") if sent == batches else f"{sent:,} of {batches:,} batches"
    say(
        f"Job {job.job_id}: {plural(job.records, 'record')} in {plural(job.requests, 'request')}, "
        f"{share} submitted to {job.provider} ({job.model})."
    )
    aside = [
        (job.skipped, "answered already, or beyond the limit"),
        (job.reused, "get an answer that was bought before"),
        (job.waiting, "wait for another job's answer"),
        (job.unsendable, "too large to send"),
        (job.given_up, "given up before"),
    ]
    for count, what in aside:
        if count:
            say(f"  {count:,} {what}")
    say(f"  {job.input_tokens:,} input tokens, estimated at {usd(job.estimate_usd)}")
    say(f"Next: batch-pipeline collect {job.job_id} --wait")


def _tell_what_waits(placed: Placed) -> None:
    """Says why something is not at the provider yet; it stays planned, and `collect` sends it."""
    later = f"The job is kept; `batch-pipeline collect {placed.job.job_id} --wait` sends it."
    if placed.sent.stopped:
        tell_error(f"{placed.sent.stopped} {later}")
        raise typer.Exit(placed.sent.stopped.exit_code)
    for batch_id, why in placed.sent.not_yet.items():
        tell_error(f"{batch_id} is not submitted yet: {why}. {later}")


def _dry_run(pipeline: Pipeline, order: Order, *, as_json: bool) -> None:
    from batch_pipeline.batches.dry_run import dry_run

    run = dry_run(pipeline, order)
    if as_json:
        more = {
            "dry_run": True,
            "skipped": run.job.skipped,
            "given_up": run.job.given_up,
            "waiting": run.job.waiting,
            "batch_usd": run.batch_usd,
            "realtime_usd": run.realtime_usd,
            "saved_usd": run.saved_usd,
        }
        print_json(vars(_submitted(run.job, None, run.batches)) | more)
    elif not run.job.records:
        say(_nothing(run.job))
    else:
        _say_dry_run(pipeline, run)


def _say_dry_run(pipeline: Pipeline, run: DryRun) -> None:
    job, local = run.job, run.job.provider == "local"
    priced = f" as {pipeline.settings.price_as}; here it is free" if local else ""
    share = f" ({run.saved_usd / run.realtime_usd:.0%})" if run.realtime_usd else ""
    say(f"Dry run of {job.task}: nothing was planned, nothing was sent.")
    print_facts(
        [
            ("Records", f"{job.records:,} of {job.selected:,} selected"),
            ("Requests", f"{job.requests:,} in {plural(run.batches, 'batch', 'batches')}"),
            ("Reused", f"{job.reused:,} bought before, {job.waiting:,} in flight for another job"),
            ("Skipped", f"{job.skipped:,} answered already, or beyond the limit; {job.given_up:,} given up"),
            ("Input", f"{job.input_tokens:,} tokens"),
            ("Model", f"{job.model} at {job.provider}"),
            ("Batch", f"{usd(run.batch_usd)}{priced}"),
            ("Realtime", usd(run.realtime_usd)),
            ("Saved", f"{usd(run.saved_usd)}{share}"),
        ]
    )
