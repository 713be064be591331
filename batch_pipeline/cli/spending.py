"""All jobs' cost by task, model, repository or night: what `cost --by` prints and draws."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Literal

from batch_pipeline.cli.output import Column, plural, print_json, print_table, say, say_wrapped, usd

if TYPE_CHECKING:
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.reports.spend import Spent, Yearly

By = Literal["task", "model", "repo", "night", "day"]


def show_spending(pipeline: Pipeline, by: By, chart: Path | None, *, as_json: bool) -> None:
    """Prints what each group came to in each mode, and draws it where a file is given.

    Raises:
        PipelineError: The picture can't be written.
    """
    from batch_pipeline.reports.spend import grouped, spending, today, yearly

    spent = spending(pipeline)
    groups = grouped(spent, by)
    year = yearly(spent, today(pipeline))
    if chart is not None:
        _draw(spent, by, chart)
    if as_json:
        told = {name: _told(each) for (name,), each in groups.items()}
        print_json(
            {
                "by": by,
                "groups": [{by: name, **each} for name, each in told.items()],
                "total": _told(_sum(spent)) if spent else None,
                "year": vars(year),
                "chart": chart,
            }
        )
        return
    if not spent:
        say("There are no jobs yet: `batch-pipeline submit TASK` makes one.")
        return
    rows = [_row(name, each) for (name,), each in groups.items()]
    rows += [_row("all", _sum(spent))] if len(rows) > 1 else []
    shown = -1 if is_narrow() else None
    print_table(_columns(by)[:shown], [row[:shown] for row in rows])
    if any(each.provider == "local" for each in spent):
        say()
        say_wrapped(f"What ran on this machine was free; it is shown at the prices of {pipeline.settings.price_as}.")
    say()
    say_wrapped(_in_words(year))
    if chart is not None:
        say(f"Drawn into {chart}")


def year_in_words(pipeline: Pipeline) -> str:
    """What batches save in a year, and how that is computed."""
    from batch_pipeline.reports.spend import spending, today, yearly

    return _in_words(yearly(spending(pipeline), today(pipeline)))


def _in_words(year: Yearly) -> str:
    days = "day" if year.days == 1 else f"{year.days} days"
    cheaper = usd(year.saved_usd)
    return (
        f"Batch was {cheaper} cheaper than realtime in the last {days}: {usd(year.year_usd)} a year at this rate "
        f"({cheaper} / {plural(year.days, 'day')} x 365)."
    )


def _draw(spent: list[Spent], by: By, chart: Path) -> None:
    from batch_pipeline.errors import PipelineError
    from batch_pipeline.reports.plots import plot_costs

    try:
        chart.write_bytes(plot_costs(spent, by, "svg" if chart.suffix == ".svg" else "png"))
    except OSError as error:
        raise PipelineError(f"{chart} can't be written: {error.strerror}. Choose another file.") from error


def _sum(spent: list[Spent]) -> Spent:
    first, *others = spent
    for other in others:
        first += other
    return first


def _told(each: Spent) -> dict[str, object]:
    modes = each.modes
    return {
        "requests": round(each.requests),
        "answered": modes.records,
        "input_tokens": each.input_tokens,
        "output_tokens": each.output_tokens,
        "estimate_usd": each.estimate_usd,
        "realtime_usd": modes.realtime_usd,
        "flex_usd": modes.flex_usd,
        "batch_usd": modes.batch_usd,
        "paid_usd": modes.paid_usd,
        "saved_usd": modes.saved_usd,
        "per_record_usd": each.per_record_usd,
    }


def _row(name: str, each: Spent) -> tuple[object, ...]:
    modes = each.modes
    money = (modes.realtime_usd, modes.flex_usd, modes.batch_usd, modes.paid_usd, each.per_record_usd, modes.saved_usd)
    return name, f"{modes.records:,}", *(usd(amount) for amount in money)


def _columns(by: By) -> tuple[Column, ...]:
    right = ("Answers", "Realtime", "Flex", "Batch", "Paid", "A record", "Saved")
    head = {"repo": "Repository"}.get(by, by.capitalize())
    return Column(head, shrinks=True), *(Column(name, right=True) for name in right)


def is_narrow() -> bool:
    """Whether a terminal has no room for all columns: a name is worth more than one of them."""
    return sys.stdout.isatty() and get_terminal_size().columns < _WIDE


_WIDE = 90
