"""What came of an order, or would come of it: printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from batch_pipeline.cli.log import tell_error
from batch_pipeline.cli.output import plural, print_facts, print_json, say, usd
from batch_pipeline.cli.told import counted

if TYPE_CHECKING:
    from batch_pipeline.batches.dry_run import DryRun
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.plan import Order
    from batch_pipeline.batches.standing.status import JobStatus
    from batch_pipeline.batches.turn import Placed
    from batch_pipeline.ledger.jobs import Job


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


def place_order(pipeline: Pipeline, order: Order, *, as_json: bool) -> None:
    """Plans and sends an order, and prints what came of it."""
    from batch_pipeline.batches.turn import place

    placed = place(pipeline, order)
    if as_json:
        print_json(placed_as_json(pipeline, placed))
    else:
        say_placed(pipeline, placed)
    tell_what_waits(placed)


def placed_as_json(pipeline: Pipeline, placed: Placed) -> dict[str, object]:
    """What `submit --json` prints."""
    from batch_pipeline.batches.standing.status import status

    now = status(pipeline, placed.job.job_id) if placed.job.records else None
    told: dict[str, object] = vars(_submitted(placed.job, now.state if now else None, len(now.batches) if now else 0))
    return told | ({"canary_job_id": placed.job.canary} if placed.job.canary else {})


def say_placed(pipeline: Pipeline, placed: Placed) -> None:
    """The same in words."""
    from batch_pipeline.batches.standing.status import status

    if placed.job.records:
        _say_placed(placed, status(pipeline, placed.job.job_id))
    else:
        say(_nothing(placed.job))


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


def _say_placed(placed: Placed, now: JobStatus) -> None:
    job, batches = placed.job, len(now.batches)
    sent = sum(batch_id.startswith(f"{job.job_id}-") for batch_id in placed.sent.created)
    share = plural(batches, "batch", "batches") if sent == batches else f"{sent:,} of {batches:,} batches"
    done = "answered at once by" if job.at_once else "submitted to"
    say(
        f"Job {job.job_id}: {plural(job.records, 'record')} in {plural(job.requests, 'request')}, "
        f"{share} {done} {job.provider} ({job.model})."
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
    if job.canary:
        say(f"  its canary, job {job.canary}, goes first; the rest follows if that goes well")
    say(f"  {job.input_tokens:,} input tokens, estimated at {usd(job.estimate_usd)}")
    if now.final:
        say(f"  {counted(now.outcomes)}")
    way_on = f'query "FROM {job.task}_latest"' if now.final else f"collect {job.job_id} --wait"
    say(f"Next: batch-pipeline {way_on}")


def tell_what_waits(placed: Placed) -> None:
    """Says why something is not at the provider yet; it stays planned, and `collect` sends it.

    That a canary goes first was asked for, and has been said.
    """
    from batch_pipeline.batches.canary import FIRST

    later = f"The job is kept; `batch-pipeline collect {placed.job.job_id} --wait` sends it."
    if placed.sent.stopped:
        tell_error(f"{placed.sent.stopped} {later}")
        raise typer.Exit(placed.sent.stopped.exit_code)
    for batch_id, why in placed.sent.not_yet.items():
        if why.startswith(FIRST):
            continue
        tell_error(f"{batch_id} is not submitted yet: {why}. {later}")


def show_dry_run(pipeline: Pipeline, order: Order, *, as_json: bool) -> None:
    """Prints what an order would come to."""
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


def say_estimate(pipeline: Pipeline, order: Order) -> None:
    """Before what was answered is bought again, or anything at the full price: what that comes to."""
    from batch_pipeline.batches.dry_run import dry_run

    run = dry_run(pipeline, order)
    if run.job.records:
        priced = f" as {pipeline.settings.price_as}; here it is free" if run.job.provider == "local" else ""
        what = "Outdated or not answered" if order.mode == "batch" else "To be answered at once"
        flex = f", {usd(run.job.estimate_usd)} by flex processing" if order.mode == "flex" else ""
        say(
            f"{what}: {plural(run.job.records, 'record')} in {plural(run.job.requests, 'request')}, "
            f"estimated at {usd(run.batch_usd)} in batch, {usd(run.realtime_usd)} in realtime{flex}{priced}."
        )


def _say_dry_run(pipeline: Pipeline, run: DryRun) -> None:
    job, local = run.job, run.job.provider == "local"
    priced = f" as {pipeline.settings.price_as}; here it is free" if local else ""
    share = f" ({run.saved_usd / run.realtime_usd:.0%})" if run.realtime_usd else ""
    say(f"Dry run of {job.task}: nothing was planned, nothing was sent.")
    print_facts(
        [
            ("Records", _records(job)),
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


def _records(job: Job) -> str:
    in_parts = f"{job.records:,} parts of {plural(job.selected, 'record')} selected"
    return in_parts if job.records > job.selected else f"{job.records:,} of {job.selected:,} selected"
