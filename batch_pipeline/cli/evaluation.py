"""`eval`: answers against gold answers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from batch_pipeline.cli.completion import task_names
from batch_pipeline.cli.evaluation_output import SCORE_COLUMNS, say_comparison, say_others, say_score, score_row
from batch_pipeline.cli.log import tell_error
from batch_pipeline.cli.output import (
    AsJson,
    Column,
    finite_usd,
    plural,
    print_facts,
    print_json,
    print_table,
    say,
    usd,
)
from batch_pipeline.cli.progress import progress, tell_job
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.evaluation.compare import Asked
    from batch_pipeline.evaluation.gold import GoldFile
    from batch_pipeline.evaluation.run import Judged, Matched
    from batch_pipeline.evaluation.store import Score

group = typer.Typer(help="Answers against gold answers.", no_args_is_help=True, rich_markup_mode=None)

TaskName = Annotated[str, typer.Argument(metavar="TASK", autocompletion=task_names, help="The task's name.")]
Provider = Literal["openai", "anthropic", "local"]


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="eval")


@group.command(short_help="Answer the gold rows, and score them.")
def run(
    task: TaskName,
    *,
    gold: Annotated[Path, typer.Option("--gold", metavar="FILE", help="Gold answers: CSV, JSON, JSONL or Parquet.")],
    fields: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="FIELD", help="Score this field; those that the file has otherwise."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many rows, the same ones each time.")
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
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until the answers are there.")] = True,
    poll_seconds: Annotated[
        float | None,
        typer.Option("--poll-seconds", metavar="S", min=0.1, help="Between two looks; 1 for the local server."),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Show what it would come to; send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask about the gold rows that have no answer yet, and score all of them.

    Example: batch-pipeline eval run issue-kind --gold data/issues/gold.csv --limit 12
    """
    from batch_pipeline.evaluation.gold import read_gold
    from batch_pipeline.evaluation.run import Evaluation, match
    from batch_pipeline.tasks.registry import load_tasks

    metadata: dict[str, object] = {"origin": "command"}
    if (own := finite_usd(budget)) is not None:
        metadata["budget_usd"] = own
    found = load_tasks().get(task)
    read = read_gold(gold, found, fields or ())
    with opened() as pipeline:
        matched = match(pipeline, Evaluation(found, read, limit, provider, model, variant, metadata))
        if dry:
            _dry_run(pipeline, matched, as_json=as_json)
        else:
            _run(pipeline, matched, gold, wait=wait, poll_seconds=poll_seconds, as_json=as_json)
    _tell_left_out(read, matched)


@group.command()
def scores(
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="The task's name; all without it.")] = None,
    *,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the scores that there ever were, the newest first.

    Example: batch-pipeline eval scores --json
    """
    from batch_pipeline.evaluation.store import scores as stored

    with opened() as pipeline, pipeline.warehouse.read() as connection:
        found = stored(connection, task and task.replace("-", "_"))[:limit]
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        say("There are no scores yet: `batch-pipeline eval run TASK --gold FILE` makes some.")
    else:
        print_table([Column("Scored"), Column("Task"), *SCORE_COLUMNS], [_dated(one) for one in found])


@group.command(short_help="Put two models, prompts or variants side by side.")
def compare(
    task: TaskName,
    *,
    field: Annotated[str | None, typer.Option("--field", metavar="FIELD", help="The field; the newest scored.")] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", metavar="MODEL", help="Once for both, or twice: of A, and of B.")
    ] = None,
    versions: Annotated[
        list[str] | None, typer.Option("--prompt-version", metavar="VERSION", help="The same, of prompts.")
    ] = None,
    variants: Annotated[
        list[str] | None, typer.Option("--variant", metavar="NAME", help="The same, of variants; `none` for none.")
    ] = None,
    providers: Annotated[
        list[str] | None, typer.Option("--provider", metavar="PROVIDER", help="The same, of providers.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put two models, prompts or variants side by side, on the rows that both were asked about.

    Example: batch-pipeline eval compare issue-kind --model gpt-6-luna --model gpt-6-terra
    """
    from batch_pipeline.evaluation.compare import compare as side_by_side
    from batch_pipeline.tasks.registry import load_tasks

    asked = {"model": models, "prompt_version": versions, "variant": variants, "provider": providers}
    a, b = _side_asked(asked, 0), _side_asked(asked, -1)
    if a == b:
        raise typer.BadParameter("Say what is compared: --model, --prompt-version, --variant or --provider, twice.")
    found = load_tasks().get(task)
    with opened() as pipeline:
        comparison = side_by_side(pipeline, found, field, a, b)
    if as_json:
        told = [{**asdict(change), "told": change.told} for change in comparison.changes]
        print_json(asdict(comparison) | {"changes": told})
    else:
        say_comparison(comparison)


def _side_asked(asked: Mapping[str, list[str] | None], place: int) -> Asked:
    for name, values in asked.items():
        if values and len(values) > 2:
            raise typer.BadParameter(f"--{name.replace('_', '-')} is given once for both sides, or twice.")
    chosen = {name: values[place] for name, values in asked.items() if values}
    return {name: None if name == "variant" and value == "none" else value for name, value in chosen.items()}


def _run(
    pipeline: Pipeline, matched: Matched, gold: Path, *, wait: bool, poll_seconds: float | None, as_json: bool
) -> None:
    from batch_pipeline.evaluation.run import begin, finish

    if not as_json:
        _say_rows(matched)
    begun = begin(pipeline, matched)
    again = _again(matched, gold)
    job_id = begun.job_id if begun else None
    if begun and wait:
        _wait(pipeline, begun.job_id, again, poll_seconds, as_json=as_json)
    elif begun and not begun.final:
        _say_begun(matched, begun.job_id, again, as_json=as_json)
        return
    judged = finish(pipeline, matched, job_id)
    if as_json:
        print_json(_told(matched, job_id, judged))
        return
    for each in judged:
        say_score(each.score)
    others = _on_the_same_rows(pipeline, judged)
    if len(others) > len(judged):
        say_others(others)


def _on_the_same_rows(pipeline: Pipeline, judged: Sequence[Judged]) -> list[Score]:
    """The newest score of each setup."""
    from batch_pipeline.evaluation.store import scores as stored

    hashes = {each.score.gold_hash for each in judged}
    with pipeline.warehouse.read() as connection:
        found = stored(connection, judged[0].score.task, newest_only=True)
    return [one for one in found if one.gold_hash in hashes]


def _wait(pipeline: Pipeline, job_id: str, again: str, poll_seconds: float | None, *, as_json: bool) -> None:
    from batch_pipeline.batches.standing.status import status
    from batch_pipeline.batches.turn import wait_for
    from batch_pipeline.errors import PipelineError

    provider = status(pipeline, job_id).provider
    seconds = poll_seconds or (1.0 if provider == "local" else float(pipeline.settings.poll_seconds))
    try:
        with progress(as_json=as_json) as told:
            now = wait_for(pipeline, job_id, seconds, lambda now: tell_job(told, now))
    except KeyboardInterrupt:
        tell_error(f"Stopped waiting; job {job_id} goes on. Come back for the scores with: {again}")
        raise typer.Exit(130) from None
    except PipelineError:
        if not as_json:
            say(f"Job {job_id} is kept. Next: {again}")
        raise
    if now.state == "held":
        tell_error(f"Job {job_id} is held; `batch-pipeline status {job_id}` says why. What there is was scored.")


def _dry_run(pipeline: Pipeline, matched: Matched, *, as_json: bool) -> None:
    from batch_pipeline.evaluation.run import try_run

    run = try_run(pipeline, matched)
    if as_json:
        told = _head(matched, None) | {"dry_run": True, "requests": run.job.requests, "reused": run.job.reused}
        print_json(told | {"batch_usd": run.batch_usd, "realtime_usd": run.realtime_usd})
        return
    local = run.job.provider == "local"
    priced = f" as {pipeline.settings.price_as}; here it is free" if local else ""
    say(f"Dry run of {run.job.task}: nothing was planned, nothing was sent.")
    print_facts(
        [
            ("Gold rows", f"{len(matched.record_ids):,} of {len(matched.evaluation.gold.rows):,}"),
            ("To ask", plural(run.job.requests, "request")),
            ("Answered", f"{len(matched.record_ids) - len(matched.to_ask):,}, and {run.job.reused:,} bought elsewhere"),
            ("Model", f"{run.job.model} at {run.job.provider}"),
            ("Batch", f"{usd(run.batch_usd)}{priced}"),
            ("Realtime", usd(run.realtime_usd)),
        ]
    )


def _say_rows(matched: Matched) -> None:
    there, before = len(matched.record_ids), len(matched.record_ids) - len(matched.to_ask)
    every = len(matched.evaluation.gold.rows)
    of = f" of {every:,}" if there < every else ""
    say(f"{there:,}{of} gold rows of {matched.evaluation.gold.source}, {before:,} answered before.")


def _again(matched: Matched, gold: Path) -> str:
    """The command that goes on with this evaluation."""
    asked = matched.evaluation
    options = {"--limit": asked.limit, "--model": asked.model, "--provider": asked.provider, "--variant": asked.variant}
    given = [f"{name} {value}" for name, value in options.items() if value is not None]
    fields = [f"--field {each.name}" for each in asked.gold.fields] if len(asked.gold.fields) > 1 else []
    return " ".join(["batch-pipeline eval run", asked.task.name, f"--gold {gold}", *given, *fields])


def _say_begun(matched: Matched, job_id: str, again: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_head(matched, job_id))
        return
    say(f"Job {job_id} is on its way.")
    say(f"Next: {again}")


def _tell_left_out(gold: GoldFile, matched: Matched) -> None:
    """One sentence for each kind of row that was left out."""
    if gold.problems:
        more = f", and {len(gold.problems) - 1:,} more rows" if len(gold.problems) > 1 else ""
        tell_error(f"{gold.problems[0]}{more}: left out, the others were taken.")
    if matched.unmatched:
        shown = "`, `".join(matched.unmatched[:3])
        tell_error(
            f"{len(matched.unmatched):,} of {plural(len(gold.rows), 'gold row')} match no record of "
            f"`{matched.evaluation.task.name}` and are left out, such as `{shown}`; load those records, or correct "
            "`record_id`."
        )


def _head(matched: Matched, job_id: str | None) -> dict[str, object]:
    return {
        "task": matched.evaluation.task.name,
        "job_id": job_id,
        **vars(matched.setup),
        "gold": matched.evaluation.gold.source,
        "gold_rows": len(matched.evaluation.gold.rows),
        "rows": len(matched.record_ids),
        "answered_before": len(matched.record_ids) - len(matched.to_ask),
        "unmatched": list(matched.unmatched),
    }


def _told(matched: Matched, job_id: str | None, judged: Sequence[Judged]) -> dict[str, object]:
    return _head(matched, job_id) | {
        "scores": [asdict(each.score) for each in judged],
        "answers": [
            {
                "field": each.score.field,
                "record_id": record_id,
                "gold": list(labels),
                "answer": None if given.labels is None else list(given.labels),
                "outcome": given.outcome,
            }
            for each in judged
            for record_id, labels in each.gold.rows.items()
            for given in [each.given[record_id]]
        ],
    }


def _dated(score: Score) -> tuple[str, ...]:
    return f"{score.scored_at:%Y-%m-%d %H:%M} UTC", score.task, *score_row(score)
