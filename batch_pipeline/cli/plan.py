"""`plan`: what a job would come to; with `--simulate`, of any size, with the hours that it will take."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.batches.simulation.own import Pace
from batch_pipeline.cli.completion import task_names
from batch_pipeline.cli.options import Provider
from batch_pipeline.cli.output import (
    AsJson,
    Column,
    plural,
    print_facts,
    print_json,
    print_table,
    say,
    say_wrapped,
    usd,
)
from batch_pipeline.cli.placed import show_dry_run
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from batch_pipeline.batches.simulation.accounts import Account
    from batch_pipeline.batches.simulation.forecast import Forecast
    from batch_pipeline.batches.simulation.simulated import Simulated


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Show what a job would come to, at any size.")(plan)


def plan(
    task: Annotated[str, typer.Argument(metavar="TASK", autocompletion=task_names, help="The task's name.")],
    *,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Of any size, with hours: the account's queue is simulated.")
    ] = False,
    rows: Annotated[
        int | None, typer.Option("--rows", metavar="N", min=1, help="So many rows; else those that are to be asked.")
    ] = None,
    tokens_per_row: Annotated[
        float | None,
        typer.Option("--tokens-per-row", metavar="N", min=1, help="Input of a row; else measured on some records."),
    ] = None,
    output_tokens: Annotated[
        float | None,
        typer.Option("--output-tokens", metavar="N", min=0, help="Of an answer; else half of the task's limit."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="The model, in place of the task's.")
    ] = None,
    provider: Annotated[
        Provider | None, typer.Option("--provider", help="Who answers, in place of the task's.")
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option(
            "--sql", metavar="QUERY", help="What this SELECT on the warehouse gives, in place of its records."
        ),
    ] = None,
    repo: Annotated[
        str | None, typer.Option("--repo", metavar="OWNER/NAME", help="Records of this repository, OWNER/NAME.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Everything, what was answered included.")] = False,
    tier: Annotated[
        str | None,
        typer.Option("--tier", metavar="TIER", help="Of the account: 1 to 5; at Anthropic start, build or scale."),
    ] = None,
    enqueued_tokens: Annotated[
        int | None,
        typer.Option("--enqueued-tokens", metavar="N", min=1, help="Input tokens that may be queued, where known."),
    ] = None,
    rows_per_job: Annotated[
        int, typer.Option("--rows-per-job", metavar="N", min=1, help="What is planned at once: a night, a partition.")
    ] = 1_000_000,
    hosts: Annotated[
        int, typer.Option("--hosts", metavar="N", min=1, max=1_000, help="Processes that plan, and that collect.")
    ] = 1,
    build_seconds: Annotated[
        float, typer.Option("--build-seconds", metavar="N", min=0, help="To plan a million rows, by one process.")
    ] = Pace.build_seconds,
    collect_seconds: Annotated[
        float, typer.Option("--collect-seconds", metavar="N", min=0, help="To collect a million rows, by one.")
    ] = Pace.collect_seconds,
    lookup_seconds: Annotated[
        float, typer.Option("--lookup-seconds", metavar="N", min=0, help="More, beside each million stored rows.")
    ] = Pace.lookup_seconds,
    median_minutes: Annotated[
        float, typer.Option("--median-minutes", metavar="N", min=0.1, help="Half of all batches end within it.")
    ] = 7.0,
    p90_minutes: Annotated[
        float, typer.Option("--p90-minutes", metavar="N", min=0.1, help="Nine of ten batches end within it.")
    ] = 60.0,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=1, max=10_000, help="At most so many runs.")] = 100,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The same gives the same answer.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what a job would come to, without planning it; --simulate asks of any size, and how long it will take.

    The account's limit is --tier, --enqueued-tokens, the setting, or what was learned from a refusal. How long batches
    take is an assumption: half of all 7 minutes, nine of ten an hour, none more than 24 hours.

    Example: batch-pipeline plan issue-kind --simulate --rows 1000000 --tokens-per-row 400 --tier 4
    """
    from batch_pipeline.batches.plan import Order
    from batch_pipeline.batches.requests.selection import Selection
    from batch_pipeline.batches.simulation.latency import Latency
    from batch_pipeline.batches.simulation.simulated import Question
    from batch_pipeline.batches.simulation.simulated import simulate as simulate_plan
    from batch_pipeline.tasks.registry import load_tasks

    if p90_minutes < median_minutes:
        raise typer.BadParameter("--p90-minutes is at least --median-minutes.")
    if not simulate and (rows or tokens_per_row or tier or enqueued_tokens):
        raise typer.BadParameter("--rows, --tokens-per-row, --tier and --enqueued-tokens go with --simulate.")
    selection = Selection(sql=sql, repo=repo, which="all" if force else "new")
    order = Order(load_tasks().get(task), selection, provider=provider, model=model, force=force)
    with opened() as pipeline:
        if not simulate:
            show_dry_run(pipeline, order, as_json=as_json)
            return
        question = Question(
            rows=rows,
            tokens_per_row=tokens_per_row,
            output_tokens=output_tokens,
            tier=tier,
            enqueued_tokens=enqueued_tokens,
            rows_per_job=rows_per_job,
            latency=Latency(60 * median_minutes, 60 * p90_minutes),
            pace=Pace(build_seconds, collect_seconds, hosts, lookup_seconds),
            runs=runs,
            seed=seed,
        )
        found = simulate_plan(pipeline, order, question)
    if as_json:
        print_json(_told(found))
    else:
        _say(found, question.pace.hosts)


def _told(found: Simulated) -> dict[str, object]:
    return {
        "task": found.task,
        "provider": found.provider,
        "model": found.model,
        "sampled": found.sampled,
        **asdict(found.work),
        "batches": found.forecast.batches,
        "output_tokens": found.costs.output_tokens,
        "bound_usd": found.costs.bound,
        "batch_usd": found.costs.batch,
        "flex_usd": found.costs.flex,
        "realtime_usd": found.costs.realtime,
        "saved_usd": found.costs.saved,
        "account": asdict(found.account),
        "forecast": _forecast(found.forecast),
        "disk_bytes": asdict(found.disk) | {"whole": found.disk.whole},
        "tiers": {name: asdict(one) | _forecast(each) for name, (one, each) in found.tiers.items()},
        "breaks": found.breaks,
    }


def _forecast(one: Forecast) -> dict[str, object]:
    return {**asdict(one), "slowest": one.slowest}


def _say(found: Simulated, hosts: int) -> None:
    if not found.work.rows:
        say(
            f"Nothing to do: no record of `{found.task}` is left to ask. --force takes all, --rows as many as you like."
        )
        return
    say(f"A simulation of {found.task}: nothing was planned, nothing was sent.")
    work, costs, forecast = found.work, found.costs, found.forecast
    each = work.input_tokens / work.rows
    how = f"measured on {found.sampled:,}" if found.sampled else "as given"
    flex = [("Flex", usd(costs.flex))] if costs.flex is not None else []
    share = f" ({costs.saved / costs.realtime:.0%})" if costs.realtime else ""
    print_facts(
        [
            ("Rows", f"{work.rows:,}, in {plural(-(-work.rows // work.rows_per_job), 'job')}"),
            ("Requests", f"{work.requests:,} in {plural(forecast.batches, 'batch', 'batches')}"),
            ("Input", f"{work.input_tokens:,} tokens, {each:,.0f} a row, {how}"),
            ("Output", f"{costs.output_tokens:,.0f} tokens are expected"),
            ("Model", f"{found.model} at {found.provider}"),
            ("Account", f"{_limit(found.account)} queued at once: {found.account.source}"),
            ("Bound", f"{usd(costs.bound)}, which budgets must hold"),
            ("Batch", usd(costs.batch)),
            *flex,
            ("Realtime", usd(costs.realtime)),
            ("Saved", f"{usd(costs.saved)}{share}"),
            ("Time", f"{_long(forecast.hours.middle)}; {_spread(forecast)}"),
            ("At worst", f"{_long(forecast.worst_hours)}, if each batch took its whole 24 hours"),
            ("In flight", f"{plural(forecast.at_once, 'batch', 'batches')} at once, where most are"),
        ]
    )
    say()
    alone = [(_BOUNDS[what], _long(hours)) for what, hours in forecast.bounds.items()]
    print_table((Column(f"By itself, {plural(hosts, 'host')}"), Column("Takes", right=True)), alone)
    say()
    on_disk = [(_DISK[what], _bytes(size)) for what, size in asdict(found.disk).items()]
    print_table((Column("On the disk"), Column("Size", right=True)), on_disk)
    if found.tiers:
        say()
        print_table(_TIERS, [_tier(name, *of_tier) for name, of_tier in found.tiers.items()])
    say()
    for sentence in found.breaks:
        say_wrapped(sentence)


def _spread(forecast: Forecast) -> str:
    part = f", of each the first {forecast.simulated:,} batches" if forecast.simulated < forecast.batches else ""
    return (
        f"{_long(forecast.hours.early)} to {_long(forecast.hours.late)} in eight of ten of {forecast.runs:,} runs{part}"
    )


def _tier(name: str, account: Account, forecast: Forecast) -> tuple[object, ...]:
    return name, _limit(account), f"{forecast.batches:,}", _long(forecast.hours.middle), _BOUNDS[forecast.slowest]


def _limit(account: Account) -> str:
    return "any number of tokens" if account.limit is None else f"{account.limit:,} {account.unit}"


def _long(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:,.0f} min"
    return f"{hours:,.1f} h" if hours < 48 else f"{hours / 24:,.1f} days"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1_000:
            return f"{size:,.0f} {unit}"
        size /= 1_000
    return f"{size:,.1f} TB"


_BOUNDS = {
    "queue": "the provider's queue",
    "creates": "creates an hour",
    "planning": "planning here",
    "collecting": "collecting here",
    "latency": "the slowest batch",
}
_DISK = {
    "requests": "request files",
    "answers": "answer files",
    "indexes": "indexes beside them",
    "ledger": "ledger, when most is open",
    "warehouse": "warehouse",
}
_TIERS = (
    Column("Tier"),
    Column("Queued at once", right=True),
    Column("Batches", right=True),
    Column("Takes", right=True),
    Column("Waits for"),
)
