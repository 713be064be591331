"""`history` and `details`: what happened, told as a story."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.completion import job_ids
from batch_pipeline.cli.output import (
    AsJson,
    Column,
    moment,
    one_line,
    plural,
    print_facts,
    print_json,
    print_table,
    say,
    say_wrapped,
    second,
    usd,
)
from batch_pipeline.cli.session import opened
from batch_pipeline.cli.told import counted, duration, in_words, selection_in_words

if TYPE_CHECKING:
    from batch_pipeline.batches.standing.history import BatchTold, Chapter, Story
    from batch_pipeline.ledger.events import Event


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command(short_help="Tell what was done, the newest job first.")(history)
    app.command(short_help="Tell all that is known of a job.")(details)


def history(
    *,
    task: Annotated[str | None, typer.Option("--task", metavar="TASK", help="Jobs of this task only.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Started on this day (UTC) or later.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many jobs.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Tell what was done, the newest job first: who started it, what was selected, what became of it, what it cost.

    Example: batch-pipeline history --task issue-kind --since 2026-11-01
    """
    from batch_pipeline.batches.standing.days import day_start
    from batch_pipeline.batches.standing.history import history as chapters

    wanted = None if task is None else task.replace("-", "_")
    with opened() as pipeline:
        found = chapters(pipeline, limit, task=wanted, since=day_start(since))
    if as_json:
        print_json([asdict(chapter) for chapter in found])
    elif not found:
        say("Nothing was done yet: `batch-pipeline submit TASK` makes a job.")
    for chapter in found if not as_json else ():
        _say_chapter(chapter)


def details(
    job: Annotated[str, typer.Argument(metavar="JOB", autocompletion=job_ids, help="The job's id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell all that is known of a job: selection, query, batches, attempts, outcomes by code, money, events.

    Asks nobody: it is what ledger and warehouse know. Example: batch-pipeline details JOB --json
    """
    from batch_pipeline.batches.standing.history import story

    with opened() as pipeline:
        told, priced_as = story(pipeline, job), pipeline.settings.price_as
    if as_json:
        print_json(_as_json(told))
    else:
        _say_story(told, priced_as)


def _as_json(told: Story) -> dict[str, object]:
    whole = asdict(told)
    money = told.money
    more = {"saved_usd": money.saved_usd, "per_record_usd": money.per_record_usd}
    return {**whole.pop("chapter"), **whole, "money": {**whole["money"], **more}}


def _say_chapter(chapter: Chapter) -> None:
    say(f"{moment(chapter.started_at)}  {chapter.job_id}  {_state(chapter)}")
    say_wrapped(f"{_kind(chapter)} by {chapter.model} at {chapter.provider}, started by {chapter.started_by}", 4)
    say_wrapped(f"records: {_records(chapter)} ({_selection(chapter)})", 4)
    if (query := chapter.selection.get("sql")) is not None:
        say_wrapped(f"query: {one_line(query)}", 4)
    say_wrapped(f"{_sent(chapter)}; {counted(chapter.outcomes)}; {_paid(chapter)}", 4)


def _say_story(told: Story, priced_as: str) -> None:
    chapter = told.chapter
    ran = f"took {duration(chapter.ended_at - chapter.started_at)}" if chapter.ended_at else "not through yet"
    print_facts(
        [
            ("Job", f"{chapter.job_id}, {_state(chapter)}"),
            ("Started", f"{moment(chapter.started_at)} by {chapter.started_by}, {ran}"),
            ("Task", f"{_kind(chapter)}, prompt version {chapter.prompt_version}"),
            ("Asked", f"{chapter.model} at {chapter.provider}"),
            ("Selection", _selection(chapter)),
            ("Records", _records(chapter)),
            ("Requests", _sent(chapter)),
            ("Outcomes", counted(chapter.outcomes)),
            *_links(chapter),
        ]
    )
    if (query := chapter.selection.get("sql")) is not None:
        say("\nQuery")
        for line in str(query).strip().splitlines():
            say(f"  {one_line(line) if line.strip() else ''}")
    _say_money(told, priced_as)
    if told.batches:
        say()
        print_table(_BATCHES, [_batch_row(chapter, batch) for batch in told.batches])
    if len(told.attempts) > 1:
        say()
        rows = [(a.number, moment(a.started_at), a.records, a.requests, counted(a.taken)) for a in told.attempts]
        print_table(_ATTEMPTS, [(*row[:4], row[4] if row[0] > 1 else "") for row in rows])
    if told.errors:
        say()
        print_table(_ERRORS, [(e.code, e.outcome, f"{e.requests:,}", e.example) for e in told.errors])
    if told.events:
        say()
        print_table(_EVENTS, [_event_row(chapter, event) for event in told.events])


def _say_money(told: Story, priced_as: str) -> None:
    money = told.money
    priced = f", as {priced_as}" if told.chapter.provider == "local" else ""
    paid, batch = usd(money.paid_usd), f"{usd(money.batch_usd)}{priced}"
    a_record = f"{usd(money.per_record_usd)} a record"  # of what was paid; of what was free, at the price of batch
    saved = "saved" if told.chapter.mode == "batch" else "more than in batch"
    say()
    print_facts(
        [
            ("Paid", f"{paid}, {a_record}" if money.paid_usd else paid),
            ("Estimated", f"{usd(told.chapter.estimated_cost_usd)}, {usd(told.chapter.bound_usd)} at worst"),
            ("Batch", f"{batch}; {a_record}" if money.batch_usd and not money.paid_usd else batch),
            (
                "Realtime",
                f"{usd(money.realtime_usd)}{priced}; {usd(money.saved_usd)} ({money.saved_share:.0%}) {saved}",
            ),
        ]
    )


def _state(chapter: Chapter) -> str:
    waits = f": {chapter.waits_for}" if chapter.waits_for else ""
    return chapter.state.replace("_", " ") + waits


def _kind(chapter: Chapter) -> str:
    variant = f", {chapter.variant}" if chapter.variant else ""
    kind = f" ({chapter.job_type})" if chapter.job_type != "task" else ""
    return f"{chapter.task}{variant}{kind}"


def _selection(chapter: Chapter) -> str:
    return selection_in_words(chapter.selection, chapter.partition_key) or "all records"


def _records(chapter: Chapter) -> str:
    aside = [
        (chapter.skipped, "answered before, or beyond the limit"),
        (chapter.given_up, "given up before"),
        (chapter.reused, "with an answer that was bought before"),
    ]
    told = "".join(f", {count:,} {what}" for count, what in aside if count)
    return f"{chapter.records:,} of {chapter.selected:,} selected{told}"


def _sent(chapter: Chapter) -> str:
    attempts = f", {plural(chapter.attempts, 'attempt')}" if chapter.attempts > 1 else ""
    return f"{plural(chapter.requests, 'request')} in {plural(chapter.batches, 'batch', 'batches')}{attempts}"


def _paid(chapter: Chapter) -> str:
    took = f", {duration(chapter.ended_at - chapter.started_at)}" if chapter.ended_at else ""
    return f"{usd(chapter.cost_usd)} paid, {usd(chapter.estimated_cost_usd)} estimated{took}"


def _links(chapter: Chapter) -> list[tuple[str, str]]:
    """Further facts that a job keeps of its making."""
    known = {"origin", "user", "asset", "run_id", "order"}
    told = [_named(name, value) for name, value in chapter.metadata.items() if name not in known]
    return [(name.capitalize(), value) for name, value in told]


def _named(name: str, value: object) -> tuple[str, str]:
    """A kept name and its value, as they are said; money as money."""
    if name.endswith("_usd") and isinstance(value, (int, float)):
        return name.removesuffix("_usd").replace("_", " "), usd(value)
    return name.replace("_", " "), in_words(value)


def _batch_row(chapter: Chapter, batch: BatchTold) -> tuple[object, ...]:
    sent = moment(batch.submitted_at) if batch.submitted_at else batch.waits_for or ""
    took = duration(batch.ended_at - batch.submitted_at) if batch.ended_at and batch.submitted_at else ""
    state = batch.state if batch.sends < 2 else f"{batch.state}, sent {batch.sends} times"
    return (
        batch.batch_id.removeprefix(f"{chapter.job_id}-"),
        state,
        f"{batch.requests:,}",
        counted(batch.outcomes) if batch.collected_at else batch.remote_status or "",
        "" if batch.cost_usd is None else usd(batch.cost_usd),
        sent,
        took,
        batch.error_message or batch.remote_id or "",
    )


def _event_row(chapter: Chapter, event: Event) -> tuple[object, ...]:
    about = (event.batch_id or event.job_id).removeprefix(chapter.job_id).removeprefix("-")
    told = ", ".join(" ".join(_named(name, value)) for name, value in event.detail.items() if value is not None)
    return second(event.at), event.event, about, told, event.who


_BATCHES = (
    Column("Batch"),
    Column("State"),
    Column("Requests", right=True),
    Column("Came to"),
    Column("Cost", right=True),
    Column("Sent"),
    Column("Took", right=True),
    Column("At the provider", shrinks=True),
)
_ATTEMPTS = (
    Column("Attempt", right=True),
    Column("Started"),
    Column("Records", right=True),
    Column("Requests", right=True),
    Column("Went again", shrinks=True),
)
_ERRORS = (
    Column("Code"),
    Column("Outcome"),
    Column("Requests", right=True),
    Column("For example", shrinks=True),
)
_EVENTS = (
    Column("When"),
    Column("What happened"),
    Column("To"),
    Column("Told", shrinks=True),
    Column("By"),
)
