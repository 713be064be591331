"""`tasks`: what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.completion import task_names
from batch_pipeline.cli.log import tell_error
from batch_pipeline.cli.output import (
    AsJson,
    Column,
    moment,
    plural,
    print_facts,
    print_json,
    print_table,
    say,
    say_wrapped,
    usd,
)
from batch_pipeline.cli.session import opened, read_settings

if TYPE_CHECKING:
    from batch_pipeline.batches.money.prices import Price
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.standing.versions import Version
    from batch_pipeline.settings import ProviderName, Settings
    from batch_pipeline.tasks import BatchTask

group = typer.Typer(
    help="What is asked: list, show and check the tasks.\n\nExample: batch-pipeline tasks --json", rich_markup_mode=None
)


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="tasks")


@group.callback(invoke_without_command=True)
def list_tasks(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the tasks; a file that does not load is named.

    Example: batch-pipeline tasks --json
    """
    if context.invoked_subcommand is not None:
        return
    from batch_pipeline.tasks.registry import load_tasks

    settings, tasks = read_settings(), load_tasks()
    shown = [_summary(task, settings) for task in tasks.by_name.values()]
    if as_json:
        print_json({"tasks": [vars(one) for one in shown], "failed": tasks.failed})
        return
    columns = [Column("Task"), Column("Provider"), Column("Model"), Column("Answer", shrinks=True)]
    print_table(columns, [(one.task, one.provider, one.model, ", ".join(one.answer)) for one in shown])
    for file, why in tasks.failed.items():
        tell_error(f"{file} did not load, and the other tasks work: {why}")


@group.command("show", short_help="Show a task, its price, prompt and versions.")
def show_task(
    task: Annotated[str, typer.Argument(metavar="TASK", autocompletion=task_names, help="The task's name.")],
    *,
    diff: Annotated[
        str | None, typer.Option("--diff", metavar="VERSION", help="What changed since this version of the prompt.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a task: model, price, prompt, answer, and the versions that its answers are of.

    Example: batch-pipeline tasks show issue-kind --diff 7476b11a
    """
    from batch_pipeline.batches.money.prices import PriceBook
    from batch_pipeline.batches.standing.versions import changes, versions
    from batch_pipeline.tasks.registry import load_tasks

    found = load_tasks().get(task)
    with opened() as pipeline:
        settings, known = pipeline.settings, versions(pipeline, found)
    if diff is not None:
        _show_changes(changes(known, diff), as_json=as_json)
        return
    summary = _summary(found, settings)
    model = settings.model_for(summary.provider, found.model, embeds=found.embeds)
    tariff = PriceBook(settings.prices_file, settings.price_as).tariff(summary.provider, model)
    prices = {"paid": tariff.paid, "batch": tariff.batch, "realtime": tariff.realtime}
    if as_json:
        per_million = {
            mode: {"input": price.base.input * 1e6, "output": price.base.output * 1e6} for mode, price in prices.items()
        }
        more: dict[str, object] = {"usd_per_million_tokens": per_million, "system": found.system}
        more |= {"variants": dict(found.variants), "schema": found.schema}
        told = [{name: value for name, value in vars(version).items() if name != "text"} for version in known]
        print_json(vars(summary) | more | {"versions": told, "outdated_answers": _outdated(known)})
        return
    print_facts(
        [
            ("Task", found.name),
            ("Model", f"{summary.model} at {summary.provider} ({found.endpoint})"),
            *((f"Price, {mode}", _price(price)) for mode, price in prices.items()),
            ("Records", " ".join(found.records.split())),
            ("Partitions", summary.partitions),
            ("Nightly", "yes: what a night collects is asked" if found.nightly else "no: asked by hand only"),
            ("Version", summary.prompt_version),
            ("Variants", ", ".join(found.variants) or "none"),
            ("Output limit", f"{found.max_output_tokens:,} tokens"),
            *((f"Answer: {name}", kind) for name, kind in found.answer_columns.items()),
        ]
    )
    for name, instructions in {"": found.system, **found.variants}.items():
        if instructions:
            say()
            for line in (f"{name}: {instructions}" if name else instructions).splitlines():
                if line.strip():
                    say_wrapped(line)
                else:
                    say()
    say()
    print_table(_VERSIONS, [_version_row(version) for version in known])
    if outdated := _outdated(known):
        older = next(version.version for version in known if not version.current)
        say(f"\n{plural(outdated, 'answer')} of older versions: `submit {found.name} --outdated` asks again.")
        say(f"What changed: batch-pipeline tasks show {found.name} --diff {older}")


def _show_changes(lines: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"diff": lines})
    elif lines:
        for line in lines:
            say(line)
    else:
        say("Nothing changed: this is the current version.")


def _outdated(known: Sequence[Version]) -> int:
    return sum(version.answers for version in known if not version.current)


def _version_row(version: Version) -> tuple[object, ...]:
    first, last = ("" if at is None else moment(at) for at in (version.first_at, version.last_at))
    now = "current" if version.current else "older"
    return version.version, now, version.variant or "", f"{version.answers:,}", f"{version.jobs:,}", first, last


_VERSIONS = (
    Column("Version"),
    Column(""),
    Column("Variant"),
    Column("Answers", right=True),
    Column("Jobs", right=True),
    Column("First job"),
    Column("Last job", shrinks=True),
)


@group.command("check")
def check_tasks(*, as_json: AsJson = False) -> None:
    """Try each task's SQL and columns against the warehouse.

    Example: batch-pipeline tasks check
    """
    from batch_pipeline.tasks.registry import load_tasks

    tasks = load_tasks()
    with opened() as pipeline:
        wrong = dict(tasks.failed) | {
            name: why for name, task in tasks.by_name.items() if (why := _why_wrong(pipeline, task))
        }
    if as_json:
        print_json({"good": [name for name in tasks.by_name if name not in wrong], "wrong": wrong})
    else:
        for name in tasks.by_name:
            say(f"{name}: {'wrong' if name in wrong else 'good'}")
        for name, why in wrong.items():
            tell_error(f"{name}: {why}")
    if wrong:
        raise typer.Exit(1)


def _why_wrong(pipeline: Pipeline, task: BatchTask) -> str | None:
    from batch_pipeline.batches.requests.select import prepare
    from batch_pipeline.batches.requests.selection import Selection
    from batch_pipeline.errors import PipelineError

    try:
        with pipeline.warehouse.read() as connection:
            prepare(connection, task, Selection())
    except PipelineError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class _Summary:
    task: str
    provider: ProviderName
    model: str
    endpoint: str
    partitions: str
    nightly: bool
    prompt_version: str
    answer: tuple[str, ...]


def _summary(task: BatchTask, settings: Settings) -> _Summary:
    provider = task.provider or settings.provider
    return _Summary(
        task=task.name,
        provider=provider,
        model=_model(task, provider, settings),
        endpoint=task.endpoint,
        partitions=task.partitions or "none",
        nightly=task.nightly,
        prompt_version=task.prompt_version(task.asked_as[0]),
        answer=tuple(task.answer_columns),
    )


def _model(task: BatchTask, provider: ProviderName, settings: Settings) -> str:
    from batch_pipeline.errors import UsageError

    try:
        return settings.model_for(provider, task.model, embeds=task.embeds)
    except UsageError:
        return "none"


def _price(price: Price) -> str:
    told = f"{usd(price.base.input * 1e6)} in, {usd(price.base.output * 1e6)} out, a million tokens"
    return f"{told}, as {price.model}" if price.basis != "local" else told
