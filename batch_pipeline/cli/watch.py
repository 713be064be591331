"""`watch`: a job's batches on their way, live."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.job_told import job_as_json, say_collected
from batch_pipeline.cli.log import tell_stopped
from batch_pipeline.cli.options import JobId
from batch_pipeline.cli.output import AsJson, Column, as_table, clock, plural, print_json, usd
from batch_pipeline.cli.progress import progress, requests_done, tell_job
from batch_pipeline.cli.session import opened
from batch_pipeline.cli.told import counted, duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.standing.status import JobStatus
    from batch_pipeline.batches.standing.watch import Watched

ROWS = 20
"""Batches that are shown, those first that are not through; a terminal has few more lines."""


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Follow a job's batches, live.")(watch)


def watch(
    job: JobId,
    *,
    poll_seconds: Annotated[
        float | None,
        typer.Option("--poll-seconds", metavar="S", min=0.1, help="Between two looks; 1 for the local server."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow a job's batches, live: state, requests that are through, age, tokens, cost, expected end.

    It works as it looks, as `collect --wait` does: collects what has ended, sends and retries what may go. Ctrl-C
    ends the watching and leaves the work running. Into a pipe, a line whenever something changed. --json prints where
    the job stands in the end, as `status --json` does.

    Example: batch-pipeline watch issue_kind-261120-1a2b3c
    """
    from batch_pipeline.batches.standing.status import status
    from batch_pipeline.batches.turn import wait_for

    with opened() as pipeline:
        provider = status(pipeline, job).provider
        seconds = poll_seconds or (1.0 if provider == "local" else float(pipeline.settings.poll_seconds))
        try:
            with _shown(pipeline, as_json=as_json) as seen:
                now = wait_for(pipeline, job, seconds, seen)
        except KeyboardInterrupt:
            tell_stopped(
                "Stopped watching; what is in flight goes on at the provider. "
                f"Come back with: batch-pipeline watch {job}"
            )
            raise typer.Exit(130) from None
    if as_json:
        print_json(job_as_json(now))
    else:
        say_collected(now)
    if now.state == "held" or now.stopped:
        raise typer.Exit(1)


@contextmanager
def _shown(pipeline: Pipeline, *, as_json: bool) -> Generator[Callable[[JobStatus], None]]:
    if as_json or not sys.stdout.isatty():
        with progress(as_json=as_json) as told:
            yield lambda now: tell_job(told, now)
    else:
        with _live(pipeline) as seen:
            yield seen


@contextmanager
def _live(pipeline: Pipeline) -> Generator[Callable[[JobStatus], None]]:
    """The table, drawn anew each second, so that ages go on; it stays when it ends."""
    from rich.live import Live

    from batch_pipeline.batches.standing.watch import watched

    found: list[tuple[JobStatus, Sequence[Watched]]] = []
    with Live(get_renderable=lambda: _table(*found[-1]) if found else "Asking…", refresh_per_second=2) as live:

        def seen(now: JobStatus) -> None:
            found[:] = [(now, watched(pipeline, now))]
            live.refresh()

        yield seen


def _table(now: JobStatus, found: Sequence[Watched]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    at = time.time()
    in_order = sorted(found, key=lambda each: each.state == "collected")
    shown = in_order[:ROWS]
    rows = [_row(now.job_id, each, at) for each in shown]
    lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in _summary(now, found, at)]
    if more := in_order[ROWS:]:
        collected = sum(each.state == "collected" for each in more)
        lines.insert(0, Text(f"and {plural(len(more), 'batch', 'batches')} more, {collected:,} of them collected"))
    return Group(as_table(_COLUMNS, rows), Text(), *lines)


def _row(job_id: str, each: Watched, at: float) -> tuple[object, ...]:
    age = each.age(at)
    state = each.remote_status if each.state == "submitted" and each.remote_status else each.state
    return (
        each.batch_id.removeprefix(f"{job_id}-"),
        (each.waits_for or state).replace("_", " "),
        f"{_bar(each.done, each.requests)} {each.done:,}/{each.requests:,}",
        "" if age is None else duration(age),
        f"{each.input_tokens:,}",
        usd(each.cost_usd) if each.settled else f"~{usd(each.cost_usd)}",
        "" if each.ends_at is None else _when(each.ends_at, at),
    )


def _summary(now: JobStatus, found: Sequence[Watched], at: float) -> list[str]:
    from batch_pipeline.batches.standing.watch import end_of_all

    done, total = requests_done(now)
    end = end_of_all(found)
    expected = f", all expected {_when(end, at)}" if end is not None else ""
    cost = sum(each.cost_usd for each in found)
    waits = f", {now.waits_for}" if now.waits_for else ""
    return [
        f"{now.job_id}: {now.state.replace('_', ' ')}{waits}",
        f"Completed: {done:,}/{total:,} requests{expected}",
        f"Records:   {now.records:,}, {counted(now.outcomes)}",
        f"Cost:      {usd(cost)} so far, estimated at {usd(now.estimated_cost_usd)}; {now.model} at {now.provider}",
        "Ctrl-C leaves the work running.",
    ]


def _when(end: float, at: float) -> str:
    return f"in {duration(end - at)}, {clock(end, at)}"


_BAR = 10


def _bar(done: int, total: int) -> str:
    filled = _BAR * done // total if total else 0
    return "━" * filled + "╌" * (_BAR - filled)


_COLUMNS = (
    Column("Batch"),
    Column("State", shrinks=True),
    Column("Completed", right=True),
    Column("Age", right=True),
    Column("Tokens", right=True),
    Column("Cost", right=True),
    Column("Expected end (UTC)", shrinks=True),
)
