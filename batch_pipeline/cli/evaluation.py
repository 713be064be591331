"""`eval`: answers against gold answers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli import options
from batch_pipeline.cli.evaluation_output import SCORE_COLUMNS, say_comparison, score_row
from batch_pipeline.cli.evaluation_run import run_evaluation, tell_left_out, try_evaluation
from batch_pipeline.cli.output import (
    AsJson,
    Column,
    finite_usd,
    print_json,
    print_table,
    say,
)
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_pipeline.evaluation.compare import Asked
    from batch_pipeline.evaluation.store import Score

group = typer.Typer(help="Answers against gold answers.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="eval")


@group.command(short_help="Answer the gold rows, and score them.")
def run(
    task: options.TaskName,
    *,
    gold: Annotated[Path, typer.Option("--gold", metavar="FILE", help="Gold answers: CSV, JSON, JSONL or Parquet.")],
    fields: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="FIELD", help="Score this field; those that the file has otherwise."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many rows, the same ones each time.")
    ] = None,
    model: options.Model = None,
    provider: options.Asked = None,
    variant: options.Variant = None,
    budget: options.Budget = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until the answers are there.")] = True,
    poll_seconds: options.PollSeconds = None,
    dry: options.DryRun = False,
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
            try_evaluation(pipeline, matched, as_json=as_json)
        else:
            run_evaluation(pipeline, matched, gold, wait=wait, poll_seconds=poll_seconds, as_json=as_json)
    tell_left_out(read, matched)


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
    task: options.TaskName,
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


def _dated(score: Score) -> tuple[str, ...]:
    return f"{score.scored_at:%Y-%m-%d %H:%M} UTC", score.task, *score_row(score)
