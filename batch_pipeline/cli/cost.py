"""`cost`: what was estimated, settled and reported, and what it would have been otherwise."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.completion import job_ids
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
from batch_pipeline.cli.session import opened
from batch_pipeline.cli.spending import By, is_narrow, show_spending, year_in_words

if TYPE_CHECKING:
    from batch_pipeline.batches.standing.cost import Cost, Count


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Compare estimate, settlement and the provider's usage.")(cost)


def cost(
    job: Annotated[
        str | None,
        typer.Argument(
            metavar="[JOB]", autocompletion=job_ids, help="The job's id; without it, all, by task and model."
        ),
    ] = None,
    *,
    by: Annotated[
        By | None, typer.Option("--by", help="Sum all jobs by this, and compare realtime, flex, batch and paid.")
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option("--chart", metavar="FILE.png", dir_okay=False, help="Draw it: by task, or as --by says."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare what was estimated, what the rows add up to, and what the provider says; in each mode.

    Of all jobs, it says what batches save in a year at the present rate: what they saved in the last 30 days (fewer
    where the first job is younger), by the day, times 365. A night is that of a job's partition.

    Example: batch-pipeline cost --by repo --chart cost.png
    """
    from batch_pipeline.batches.standing.cost import cost_of, costs

    if job is not None and (by or chart):
        raise typer.BadParameter("--by and --chart compare all jobs; leave the job's id out.")
    if by or chart:
        with opened() as pipeline:
            show_spending(pipeline, by or "task", chart, as_json=as_json)
        return
    with opened() as pipeline:
        found = [cost_of(pipeline, job)] if job is not None else costs(pipeline)
        priced_as = pipeline.settings.price_as
        saving = None if job or as_json or not found else year_in_words(pipeline)
    if as_json:
        told = [_told(one) for one in found]
        print_json({"job_id": job} | told[0] if job is not None else told)
    elif job is not None:
        _say_cost(found[0], job, priced_as)
    elif not found:
        say("There are no jobs yet: `batch-pipeline submit TASK` makes one.")
    else:
        shown = [place for place, column in enumerate(_ALL) if column.head != "Estimate" or not is_narrow()]
        rows = [_row(one) for one in found]
        print_table([_ALL[place] for place in shown], [[row[place] for place in shown] for row in rows])
        for one in found:
            if not one.agrees:
                say(f"{one.task}, {one.model}: {_verdict(one)}")
        if saving:
            say()
            say_wrapped(saving)


def _told(one: Cost) -> dict[str, object]:
    modes = one.modes
    told: dict[str, object] = asdict(one)
    del told["modes"]
    return told | {
        "agrees": one.agrees,
        "answered": modes.records,
        "paid_usd": modes.paid_usd,
        "batch_usd": modes.batch_usd,
        "flex_usd": modes.flex_usd,
        "realtime_usd": modes.realtime_usd,
        "saved_usd": modes.saved_usd,
        "per_record_usd": modes.per_record_usd,
    }


def _say_cost(one: Cost, job: str, priced_as: str) -> None:
    modes = one.modes
    priced = f", as {priced_as}" if one.provider == "local" else ""
    print_facts(
        [
            ("Job", job),
            ("Task", f"{one.task}, {_model(one)} at {one.provider}"),
            ("Records", f"{one.records:,}, {modes.records:,} answered"),
            ("Batches", f"{one.batches:,}, {one.collected:,} collected"),
            ("Realtime", f"{usd(modes.realtime_usd)}{priced}"),
            ("Flex", f"{usd(modes.flex_usd)}{priced}"),
            ("Batch", f"{usd(modes.batch_usd)}{priced}"),
            ("Paid", usd(modes.paid_usd)),
            ("Saved" if one.mode == "batch" else "Batch saves", f"{usd(modes.saved_usd)} ({modes.saved_share:.0%})"),
            ("A record", usd(modes.per_record_usd)),
        ]
    )
    say()
    print_table(_COUNTS, _counts(one))
    say()
    say(_verdict(one))


def _counts(one: Cost) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        ("Estimated", f"{one.estimated_input_tokens:,}", "", "", usd(one.estimate_usd)),
        ("Settled", *_count(one.settled), usd(one.modes.paid_usd)),
    ]
    if one.compared:
        reported_usd = one.modes.paid_usd + one.difference_usd
        whole = one.compared == one.collected
        rows.append(("Reported", *_count(one.reported), usd(reported_usd) if whole else ""))
    return rows


def _count(count: Count) -> tuple[str, str, str]:
    return f"{count.input_tokens:,}", f"{count.cached_tokens:,}", f"{count.output_tokens:,}"


def _verdict(one: Cost) -> str:
    if not one.collected:
        return "Nothing is collected yet, so there is nothing to compare."
    if not one.compared:
        return "The provider gives no usage of its own for these batches: there is nothing to compare with."
    of = f"{one.compared:,} of " if one.compared < one.collected else ""
    where = f"over {of}{plural(one.collected, 'collected batch', 'collected batches')}"
    if one.agrees:
        return f"The provider's usage agrees with the settlement {where}."
    more = one.difference
    return (
        f"The provider's usage differs from the settlement {where}: {more.input_tokens:+,} input, "
        f"{more.cached_tokens:+,} cached, {more.output_tokens:+,} output tokens; {_signed(one.difference_usd)}."
    )


def _signed(amount: float) -> str:
    return f"{'-' if amount < 0 else '+'}{usd(abs(amount))}"


def _model(one: Cost) -> str:
    return one.model if one.mode == "batch" else f"{one.model}, {one.mode}"


def _row(one: Cost) -> tuple[object, ...]:
    modes = one.modes
    return (
        one.task,
        _model(one),
        f"{modes.records:,}",
        *(usd(amount) for amount in (one.estimate_usd, modes.paid_usd, modes.realtime_usd)),
        usd(modes.saved_usd) if one.mode == "batch" else "",
        usd(modes.per_record_usd),
    )


_COUNTS = (
    Column("Tokens"),
    Column("Input", right=True),
    Column("Cached", right=True),
    Column("Output", right=True),
    Column("Cost", right=True),
)
_ALL = (
    Column("Task", shrinks=True),
    Column("Model", shrinks=True),
    Column("Answers", right=True),
    Column("Estimate", right=True),
    Column("Paid", right=True),
    Column("Realtime", right=True),
    Column("Saved", right=True),
    Column("A record", right=True),
)
