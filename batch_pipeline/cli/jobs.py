"""`status`, `list`, `collect`, `cancel`, `retry`: a job's life, by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.completion import job_ids
from batch_pipeline.cli.log import tell_error
from batch_pipeline.cli.output import (
    AsJson,
    Column,
    finite_usd,
    moment,
    plural,
    print_facts,
    print_json,
    print_table,
    say,
    usd,
)
from batch_pipeline.cli.progress import progress, requests_done, tell_job
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.standing.overview import Overview
    from batch_pipeline.batches.standing.status import BatchStatus, JobStatus

JobId = Annotated[str, typer.Argument(metavar="JOB", autocompletion=job_ids, help="The job's id.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("status", short_help="Show where a job stands, or the whole.")(show_status)
    app.command("list")(list_jobs)
    app.command()(collect)
    app.command(short_help="Stop a job; what was done is kept.")(cancel)
    app.command(short_help="Send again what has no answer.")(retry)


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
        _show_job(_status(pipeline, job), as_json=as_json)
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


def collect(
    job: JobId,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until the job and its attempts are done or held.")] = False,
    poll_seconds: Annotated[
        float | None,
        typer.Option("--poll-seconds", metavar="S", min=0.1, help="Between two looks; 1 for the local server."),
    ] = None,
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


def cancel(job: JobId, *, as_json: AsJson = False) -> None:
    """Stop a job: what is planned is not sent, what is in flight is asked back; what was done is kept.

    Example: batch-pipeline cancel issue_kind-261120-1a2b3c
    """
    from batch_pipeline.batches.cancel import cancel as ask_cancel

    with opened() as pipeline:
        ask_cancel(pipeline, job)
        problem = _take_turn(pipeline, job)
        now = _status(pipeline, job)
    if as_json:
        print_json(job_as_json(now))
    else:
        say(f"Job {now.job_id} is {_spoken(now.state)}: {_outcomes(now)}.")
        if not now.final:
            say("It is to be cancelled; what the provider has done by then is kept.")
            say(f"Next: batch-pipeline collect {now.job_id} --wait")
    _tell(problem)


def retry(job: JobId, *, as_json: AsJson = False) -> None:
    """Send again what has no answer: what was given up, cancelled or lost too.

    Example: batch-pipeline retry issue_kind-261120-1a2b3c
    """
    from batch_pipeline.batches.retry import retry as try_again
    from batch_pipeline.batches.turn import submit_job

    with opened() as pipeline:
        pipeline.must_be_enabled()
        root = _status(pipeline, job).job_id
        attempt = try_again(pipeline, root, on_request=True)
        stopped = submit_job(pipeline, attempt.job_id).stopped if attempt else None
        now = _status(pipeline, root)
    if as_json:
        print_json(job_as_json(now) | {"attempt": attempt.job_id if attempt else None})
    elif attempt:
        say(f"Attempt {attempt.attempt} of job {root}: {plural(attempt.records, 'record')} sent again.")
        say(f"Next: batch-pipeline collect {root} --wait")
    elif now.final:
        say(f"Nothing to send again: every record of job {root} has its answer ({_outcomes(now)}).")
    else:
        say(f"Not yet: job {root} is {_spoken(now.state)}. Collect it first: batch-pipeline collect {root} --wait")
    _tell(str(stopped) if stopped else None)


@dataclass(frozen=True)
class _JobTold:
    """What `status JOB --json` prints, in this order."""

    job_id: str
    task: str
    state: str
    records: int
    requests: int
    outcomes: object
    attempts: int
    batches: object
    estimated_cost_usd: float
    cost_usd: float
    provider: str
    model: str
    partition_key: str | None
    waits_for: str | None
    input_tokens: int
    skipped: int
    reused: int
    created_at: float
    mode: str
    canary: str | None
    job_type: str
    metadata: Mapping[str, str]
    error_message: str | None


def job_as_json(now: JobStatus) -> dict[str, object]:
    """What `status JOB --json` prints."""
    told: dict[str, object] = {field.name: getattr(now, field.name) for field in fields(_JobTold)}
    return told | {"outcomes": dict(now.outcomes), "batches": [vars(batch) for batch in now.batches]}


def _status(pipeline: Pipeline, job: str) -> JobStatus:
    from batch_pipeline.batches.standing.status import status

    return status(pipeline, job)


def _ask(pipeline: Pipeline, job: str) -> str | None:
    """Asks the provider where the job stands; why it could not be asked."""
    from batch_pipeline.batches.poll import poll
    from batch_pipeline.errors import ProviderError

    provider = _status(pipeline, job).provider
    try:
        poll(pipeline, provider)
    except ProviderError as error:
        return str(error)
    return None


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
    return _status(pipeline, job)


def _wait(pipeline: Pipeline, job: str, poll_seconds: float | None, *, as_json: bool) -> JobStatus:
    from batch_pipeline.batches.turn import wait_for

    provider = _status(pipeline, job).provider
    seconds = poll_seconds or (1.0 if provider == "local" else float(pipeline.settings.poll_seconds))
    try:
        with progress(as_json=as_json) as told:
            return wait_for(pipeline, job, seconds, lambda now: tell_job(told, now))
    except KeyboardInterrupt:
        tell_error(f"Stopped waiting; the work goes on. Come back with: batch-pipeline collect {job} --wait")
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
            ("State", _spoken(now.state) + waits),
            ("Records", f"{now.records:,}: {_outcomes(now)}"),
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


def say_collected(now: JobStatus) -> None:
    """What a job came to so far, and what to do next."""
    why = now.waits_for or now.error_message
    waits = f" ({why})" if why else ""
    say(f"Job {now.job_id} is {_spoken(now.state)}{waits}: {plural(now.records, 'record')}, {_outcomes(now)}.")
    say(f"  cost {usd(now.cost_usd)}, estimated at {usd(now.estimated_cost_usd)}")
    if now.stopped:
        say(f"Next: batch-pipeline details {now.canary}")
    elif not now.final:
        done, total = requests_done(now)
        say(f"  {done:,} of {plural(total, 'request')} completed at {now.provider}")
        say(f"Next: batch-pipeline collect {now.job_id} --wait")
    elif now.answered:
        say(f'Next: batch-pipeline query "FROM {now.task}_latest"')


def _show_overview(pipeline: Pipeline, *, ask: bool, as_json: bool) -> None:
    from batch_pipeline.batches.standing.overview import overview

    whole = overview(pipeline, ask=ask)
    if as_json:
        print_json(vars(whole) | {"jobs": dict(whole.jobs)})
        return
    jobs = ", ".join(f"{count:,} {_spoken(state)}" for state, count in whole.jobs.items()) or "none yet"
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


def _tell(problem: str | None) -> None:
    if problem:
        tell_error(problem)
        raise typer.Exit(1)


def _outcomes(now: JobStatus) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in now.outcomes.items()) or "nothing yet"


def _spoken(state: str) -> str:
    return state.replace("_", " ")


def _mode(now: JobStatus) -> str:
    return "" if now.mode == "batch" else f", {now.mode}"


def _described(now: JobStatus) -> str:
    kind = [] if now.job_type == "task" else [now.job_type]
    return ", ".join([*kind, *(f"{name}={value}" for name, value in now.metadata.items())])


def _row(now: JobStatus) -> tuple[object, ...]:
    answered = f"{now.answered:,}/{now.records:,}"
    return now.job_id, _spoken(now.state), answered, usd(now.cost_usd), moment(now.created_at)


def _batch_row(now: JobStatus, batch: BatchStatus) -> tuple[object, ...]:
    """A batch's id without that of its job: `0000`, and `again2-0000` of a later attempt."""
    number = batch.batch_id.removeprefix(f"{now.job_id}-")
    done = f"{batch.completed:,}/{batch.total:,}"
    return number, _spoken(batch.state), batch.remote_status or "", done, batch.remote_id or ""


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
