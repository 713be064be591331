"""`collect`, `cancel`, `retry`: a job's turns, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli import options
from batch_pipeline.cli.job_told import job_as_json, outcomes_told, say_collected, spoken, status_of
from batch_pipeline.cli.log import tell_error, tell_stopped
from batch_pipeline.cli.output import AsJson, finite_usd, plural, print_json, say
from batch_pipeline.cli.progress import progress, tell_job
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.standing.status import JobStatus


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command()(collect)
    app.command(short_help="Stop a job; what was done is kept.")(cancel)
    app.command(short_help="Send again what has no answer.")(retry)


def collect(
    job: options.JobId,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until the job and its attempts are done or held.")] = False,
    poll_seconds: options.PollSeconds = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results", metavar="DIR", file_okay=False, help="Write each answer to a JSON file in this folder."
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", metavar="USD", min=0, help="What the job may cost from now on, at worst."),
    ] = None,
    despite: Annotated[
        bool, typer.Option("--despite-canary", help="Send the job, whatever its canary came to.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if a record has no answer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Collect what a job came to; send and retry what may go.

    Example: batch-pipeline collect issue_kind-261120-1a2b3c --wait --results answers
    """
    new_budget = finite_usd(budget)
    with opened() as pipeline:
        if new_budget is not None:
            _set_budget(pipeline, job, new_budget)
        if despite:
            _despite_canary(pipeline, job)
        now = _wait(pipeline, job, poll_seconds, as_json=as_json) if wait else _turn(pipeline, job)
        written = None if results is None else _export(pipeline, job, results)
    if as_json:
        print_json(job_as_json(now) | ({} if written is None else {"results_written": written}))
    else:
        say_collected(now)
        if written is not None:
            say(f"{plural(written, 'answer')} written to {results}")
    if now.state == "held" or now.stopped or (strict and now.answered < now.records):
        raise typer.Exit(1)


def cancel(job: options.JobId, *, as_json: AsJson = False) -> None:
    """Stop a job: what is planned is not sent, what is in flight is asked back; what was done is kept.

    Example: batch-pipeline cancel issue_kind-261120-1a2b3c
    """
    from batch_pipeline.batches.cancel import cancel as ask_cancel

    with opened() as pipeline:
        ask_cancel(pipeline, job)
        problem = _take_turn(pipeline, job)
        now = status_of(pipeline, job)
    if as_json:
        print_json(job_as_json(now))
    else:
        say(f"Job {now.job_id} is {spoken(now.state)}: {outcomes_told(now)}.")
        if not now.final:
            say("It is to be cancelled; what the provider has done by then is kept.")
            say(f"Next: batch-pipeline collect {now.job_id} --wait")
    _tell(problem)


def retry(job: options.JobId, *, as_json: AsJson = False) -> None:
    """Send again what has no answer: what was given up, cancelled or lost too.

    Example: batch-pipeline retry issue_kind-261120-1a2b3c
    """
    from batch_pipeline.batches.retry import retry as try_again
    from batch_pipeline.batches.turn import submit_job

    with opened() as pipeline:
        pipeline.must_be_enabled()
        root = status_of(pipeline, job).job_id
        attempt = try_again(pipeline, root, on_request=True)
        stopped = submit_job(pipeline, attempt.job_id).stopped if attempt else None
        now = status_of(pipeline, root)
    if as_json:
        print_json(job_as_json(now) | {"attempt": attempt.job_id if attempt else None})
    elif attempt:
        say(f"Attempt {attempt.attempt} of job {root}: {plural(attempt.records, 'record')} sent again.")
        say(f"Next: batch-pipeline collect {root} --wait")
    elif now.final:
        say(f"Nothing to send again: every record of job {root} has its answer ({outcomes_told(now)}).")
    else:
        say(f"Not yet: job {root} is {spoken(now.state)}. Collect it first: batch-pipeline collect {root} --wait")
    _tell(str(stopped) if stopped else None)


def _take_turn(pipeline: Pipeline, job: str) -> str | None:
    from batch_pipeline.batches.turn import take_turn
    from batch_pipeline.errors import ProviderError

    try:
        stopped = take_turn(pipeline, job).stopped
    except ProviderError as error:
        stopped = error
    return str(stopped) if stopped else None


def _turn(pipeline: Pipeline, job: str) -> JobStatus:
    from batch_pipeline.batches.turn import take_turn

    turn = take_turn(pipeline, job)
    if turn.stopped:
        raise turn.stopped
    return status_of(pipeline, job)


def _wait(pipeline: Pipeline, job: str, poll_seconds: float | None, *, as_json: bool) -> JobStatus:
    from batch_pipeline.batches.turn import wait_for

    provider = status_of(pipeline, job).provider
    seconds = poll_seconds or (1.0 if provider == "local" else float(pipeline.settings.poll_seconds))
    try:
        with progress(as_json=as_json) as told:
            return wait_for(pipeline, job, seconds, lambda now: tell_job(told, now))
    except KeyboardInterrupt:
        tell_stopped(f"Stopped waiting; the work goes on. Come back with: batch-pipeline collect {job} --wait")
        raise typer.Exit(130) from None


def _set_budget(pipeline: Pipeline, job: str, usd: float) -> None:
    from batch_pipeline.batches.money.admission import set_budget

    set_budget(pipeline, job, usd)


def _despite_canary(pipeline: Pipeline, job: str) -> None:
    from batch_pipeline.batches.canary import despite_canary

    despite_canary(pipeline, job)


def _export(pipeline: Pipeline, job: str, folder: Path) -> int:
    from batch_pipeline.batches.outcomes.export import export_answers

    return export_answers(pipeline, job, folder)


def _tell(problem: str | None) -> None:
    if problem:
        tell_error(problem)
        raise typer.Exit(1)
