"""All reports as one page of HTML: no file beside it, nothing from the network, for a light and for a dark screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from string import Template

from batch_pipeline import reports
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import FINAL, JobStatus, statuses
from batch_pipeline.reports.jobs import plot_jobs
from batch_pipeline.reports.operations import Operations, operations, share_of
from batch_pipeline.reports.plots import plot_operations, plot_spend
from batch_pipeline.reports.spend import By, Spent, Yearly, grouped, per_record, spending, today, total, yearly
from batch_pipeline.reports.words import in_time, in_usd

DAYS, NEWEST, DEAREST = 14, 25, 15
"""Rows of the tables."""


def report_page(pipeline: Pipeline) -> str:
    """The page, as it is now; asks no provider.

    Raises:
        WarehouseBusy: Another process holds the warehouse for longer than we wait.
    """
    spent, found, standing = spending(pipeline), operations(pipeline), statuses(pipeline)
    day = today(pipeline)
    year, priced_as = yearly(spent, day), pipeline.settings.price_as
    local = any(each.provider == "local" for each in spent)
    note = f"What ran on this machine was free, and is shown at the prices of {priced_as}." if local else ""
    return Template(files(reports).joinpath("page.html").read_text(encoding="utf-8")).substitute(
        at=f"{datetime.fromtimestamp(found.at, found.zone):%Y-%m-%d %H:%M} {pipeline.settings.timezone}",
        tiles="".join(map(_tile, _tiles(standing, found, spent, year))),
        note=escape(note),
        year=escape(_year(year)),
        spend_plot=plot_spend(spent, day, priced_as, "svg").decode(),
        operations_plot=plot_operations(found, "svg").decode(),
        jobs_plot=plot_jobs(standing, "svg").decode(),
        by_day=_spend_table("day", spent, DAYS),
        by_task=_spend_table("task", spent, DEAREST),
        by_model=_spend_table("model", spent, DEAREST),
        by_repo=_spend_table("repo", spent, DEAREST),
        times=_times(found),
        ended=_table(
            ("Outcome", "Code", "Requests"), [(one.outcome, one.code, one.requests) for one in found.ended], numbers=1
        ),
        queue=_queue(found),
        jobs=_jobs(standing),
    )


@dataclass(frozen=True)
class Tile:
    """A figure to be seen first."""

    name: str
    value: str
    more: str


def _tiles(standing: Sequence[JobStatus], found: Operations, spent: Sequence[Spent], year: Yearly) -> list[Tile]:
    modes = total(spent)
    records, answered = sum(job.records for job in standing), sum(job.answered for job in standing)
    open_ = sum(job.state not in FINAL for job in standing)
    share = f"{answered / records:.1%} of {records:,} records" if records else "no records yet"
    return [
        Tile("Answered", f"{answered:,}", share),
        Tile("Paid", in_usd(modes.paid_usd), f"{in_usd(per_record(spent))} a record"),
        Tile("In realtime", in_usd(modes.realtime_usd), f"batch is {modes.saved_share:.0%} cheaper"),
        Tile("Saved in a year", in_usd(year.year_usd), f"at the rate of {_days(year.days)}"),
        Tile("Jobs open", f"{open_:,}", f"of {len(standing):,}"),
        Tile(
            "A batch takes", in_time(share_of(found.seconds, 50)), f"95 % within {in_time(share_of(found.seconds, 95))}"
        ),
    ]


def _tile(tile: Tile) -> str:
    return (
        f"<div class=tile><span>{escape(tile.name)}</span><b>{escape(tile.value)}</b><i>{escape(tile.more)}</i></div>"
    )


def _last(days: int) -> str:
    return "the last day" if days == 1 else f"the last {days} days"


def _year(year: Yearly) -> str:
    return (
        f"Saved in a year: batch was {in_usd(year.saved_usd)} cheaper than realtime in {_last(year.days)}; "
        "by the day, times 365."
    )


def _days(days: int) -> str:
    return "a day" if days == 1 else f"{days} days"


def _spend_table(by: By, spent: Sequence[Spent], most: int) -> str:
    """Days from the newest; others from the dearest."""
    found = list(grouped(spent, by).items())
    found = found[::-1] if by == "day" else sorted(found, key=lambda item: -item[1].modes.realtime_usd)
    heads = ("Repository" if by == "repo" else by.capitalize(), "Answered", "Estimate", "Paid", "Batch", "Realtime")
    rows = [(names[0], *_money(each)) for names, each in found[:most]]
    return _table((*heads, "Saved", "A record"), rows, numbers=7)


def _money(each: Spent) -> tuple[object, ...]:
    modes = each.modes
    amounts = (each.estimate_usd, modes.paid_usd, modes.batch_usd, modes.realtime_usd, modes.saved_usd)
    return modes.records, *(in_usd(amount) for amount in (*amounts, each.per_record_usd))


def _times(found: Operations) -> str:
    rows = [
        (
            *(each.day, each.model, each.batches, each.requests),
            *(in_time(seconds) for seconds in (each.median_seconds, each.p95_seconds, each.collect_seconds)),
        )
        for each in found.days[:DAYS]
    ]
    return _table(("Day", "Model", "Batches", "Requests", "Median", "95 % within", "Until collected"), rows, numbers=5)


def _queue(found: Operations) -> str:
    rows = [
        (
            *(each.job_id, each.state.replace("_", " "), each.waits_for or ""),
            *(f"{each.completed:,} of {each.total:,}", in_time(each.oldest_seconds or 0.0)),
        )
        for each in found.queue
    ]
    return _table(
        ("Job", "State", "Waits for", "Completed", "Oldest batch"), rows, numbers=2, none="Nothing is in flight."
    )


def _jobs(standing: Sequence[JobStatus]) -> str:
    rows = [
        (
            *(job.job_id, job.partition_key or "", job.state.replace("_", " "), f"{job.model} at {job.provider}"),
            *(f"{job.answered:,} of {job.records:,}", in_usd(job.estimated_cost_usd), in_usd(job.cost_usd)),
        )
        for job in standing[:NEWEST]
    ]
    return _table(("Job", "Partition", "State", "Model", "Answered", "Estimate", "Paid"), rows, numbers=3)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: int, none: str = "Nothing yet.") -> str:
    """The last columns are numbers, and stand at the right."""
    lines = [_line("td", row, numbers) for row in rows]
    if not lines:
        return f"<p class=none>{escape(none)}</p>"
    head, body = _line("th", heads, numbers), "".join(lines)
    return f"<div class=wide><table><thead>{head}</thead><tbody>{body}</tbody></table></div>"


def _line(cell: str, values: Sequence[object], numbers: int) -> str:
    first = len(values) - numbers
    cells = (
        f"<{cell}{' class=n' if place >= first else ''}>{escape(_text(value))}</{cell}>"
        for place, value in enumerate(values)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
