"""`submit`: plan a job and send it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli import options
from batch_pipeline.cli.issues import load_files, say_loaded, tell_problems
from batch_pipeline.cli.output import AsJson, finite_usd
from batch_pipeline.cli.placed import place_order, say_estimate, show_dry_run
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batch_pipeline.batches.requests.selection import Which
    from batch_pipeline.settings import Mode
    from batch_pipeline.sources.files import Loaded


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Plan a job and send it; print its id.")(submit)


def submit(
    task: options.TaskName,
    *,
    files: Annotated[
        list[str] | None,
        typer.Option("--files", metavar="GLOB", help="Load these issue files, and take their issues only."),
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option(
            "--sql", metavar="QUERY", help="What this SELECT on the warehouse gives, in place of its records."
        ),
    ] = None,
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Records of this owner.")] = None,
    repo: Annotated[
        str | None, typer.Option("--repo", metavar="OWNER/NAME", help="Records of this repository, OWNER/NAME.")
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Records in this state, such as open.")
    ] = None,
    ordered: Annotated[
        str | None,
        typer.Option(
            "--order",
            metavar="ORDER",
            help="What comes first: age, newest, updated, reactions, comments, label, label:NAME; several with commas.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=0, help="At most so many records.")] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--ids", metavar="IDS", help="These records, separated by commas.")
    ] = None,
    missing: Annotated[bool, typer.Option("--missing-analysis", help="Only records without any answer.")] = False,
    outdated: Annotated[bool, typer.Option("--outdated", help="Also records answered by an older prompt.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Everything, what was answered included: paid again.")] = False,
    key: options.Key = None,
    model: options.Model = None,
    provider: options.Asked = None,
    variant: options.Variant = None,
    budget: options.Budget = None,
    canary: Annotated[
        int | None,
        typer.Option(
            "--canary", metavar="N", min=0, help="So many records first, the rest if they go well; 0 for none."
        ),
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Answer at once, at the full price: for few records, and to compare.")
    ] = False,
    flex: Annotated[
        bool, typer.Option("--flex", help="With --realtime: by flex processing, slower, at the price of a batch.")
    ] = False,
    meta: Annotated[
        list[str] | None,
        typer.Option("--meta", metavar="NAME=TEXT", help="Kept with the job, to find it by; may be given again."),
    ] = None,
    dry: options.DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Plan a job and send it; print its id.

    Example: batch-pipeline submit issue-kind --repo acme/orbit --order reactions --limit 100 --budget 2.50
    """
    from batch_pipeline.batches.plan import Order
    from batch_pipeline.batches.requests.orders import read_orders
    from batch_pipeline.batches.requests.selection import Selection
    from batch_pipeline.tasks.registry import load_tasks

    metadata = started_by_hand() | _meta(meta or ())
    if (own := finite_usd(budget)) is not None:
        metadata["budget_usd"] = own
    mode = _mode(realtime=realtime, flex=flex)
    which = _which(missing=missing, outdated=outdated, force=force)
    found = load_tasks().get(task)
    with opened() as pipeline:
        loaded = load_files(pipeline, files) if files else None
        if loaded and not as_json:
            say_loaded(loaded)
        selection = Selection(
            sql=sql,
            repo=repo,
            org=org,
            state=state,
            ids=_ids(ids, loaded),
            order=read_orders(ordered) if ordered is not None else None,
            limit=limit,
            variant=variant,
            which=which,
        )
        order = Order(
            found,
            selection,
            provider=provider,
            model=model,
            key=key,
            force=force,
            mode=mode,
            canary=(found.canary if canary is None else canary) or None,
            metadata=metadata,
        )
        if (outdated or realtime) and not dry and not as_json:
            say_estimate(pipeline, order)
        (show_dry_run if dry else place_order)(pipeline, order, as_json=as_json)
    if loaded and loaded.problems:
        tell_problems(loaded)
        raise typer.Exit(1)


def _meta(given: Sequence[str]) -> dict[str, object]:
    from batch_pipeline.batches.listing import META, read_meta

    return {META: read_meta(given)} if given else {}


def started_by_hand() -> dict[str, object]:
    """What a job keeps of who asked for it."""
    from getpass import getuser

    try:
        return {"origin": "command", "user": getuser()}
    except (KeyError, OSError):  # a container's user may have no name
        return {"origin": "command"}


def _which(*, missing: bool, outdated: bool, force: bool) -> Which:
    if missing + outdated + force > 1:
        raise typer.BadParameter("--missing-analysis, --outdated and --force exclude each other; give one.")
    return "missing" if missing else "outdated" if outdated else "all" if force else "new"


def _mode(*, realtime: bool, flex: bool) -> Mode:
    if flex and not realtime:
        raise typer.BadParameter("--flex goes with --realtime.")
    return "flex" if flex else "realtime" if realtime else "batch"


def _ids(given: list[str] | None, loaded: Loaded | None) -> tuple[str, ...] | None:
    """The records asked for by id, and those of the files; both together: what is in both."""
    asked = None if given is None else tuple(part.strip() for one in given for part in one.split(",") if part.strip())
    if loaded is None:
        return asked
    return loaded.record_ids if asked is None else tuple(one for one in loaded.record_ids if one in set(asked))
