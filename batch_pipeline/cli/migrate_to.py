"""`migrate-to`: from files on this host to servers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.output import AsJson, Column, print_json, print_table, say, say_wrapped
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from batch_pipeline.batches.migrate_to import Part, Target


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("migrate-to", short_help="Move ledger, warehouse and files from this host to servers.")(migrate_to)


def migrate_to(
    *,
    ledger_url: Annotated[
        str | None, typer.Option("--ledger-url", metavar="URL", help="Of an empty database, as for the setting.")
    ] = None,
    warehouse_url: Annotated[
        str | None, typer.Option("--warehouse-url", metavar="URL", help="Of an empty warehouse, as for the setting.")
    ] = None,
    files_url: Annotated[
        str | None, typer.Option("--files-url", metavar="URL", help="Of an object storage, as for the setting.")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Show what would be copied; copy nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy ledger, warehouse and batch files from this host to servers; what is here stays as it is.

    Stop what sends and collects first. Each table is compared by its rows and a sum over them. Killed, it is run again
    and goes on.

    Example: batch-pipeline migrate-to --ledger-url postgresql://pipeline@db.example/ledger --dry-run
    """
    from batch_pipeline.batches.migrate_to import Target
    from batch_pipeline.batches.migrate_to import migrate_to as move

    target = Target(ledger_url, warehouse_url, files_url)
    with opened() as pipeline:
        parts = move(pipeline, target, dry=dry)
        data_dir = pipeline.data_dir
    if as_json:
        print_json({"dry_run": dry, "parts": [asdict(part) for part in parts]})
        return
    print_table(_COLUMNS, [_row(part) for part in parts if part.rows])
    say()
    if dry:
        say("Nothing was copied. The source is not changed by a copy either.")
        return
    _say_what_to_do(target, str(data_dir))


def _row(part: Part) -> tuple[object, ...]:
    return part.what, part.name, f"{part.rows:,}", part.state


def _say_what_to_do(target: Target, data_dir: str) -> None:
    given = [
        ("BATCH_PIPELINE_LEDGER_URL", "--ledger-url", target.ledger_url),
        ("BATCH_PIPELINE_WAREHOUSE_URL", "--warehouse-url", target.warehouse_url),
        ("BATCH_PIPELINE_FILES_URL", "--files-url", target.files_url),
    ]
    say("All of it is there, and the same as here. Now, before anything runs again, on every host:")
    for variable, option, url in given:
        if url:
            say(f"  set {variable} to what {option} was")
    if not target.files_url:
        say(f"  let the data folder be {data_dir}: the files of batches and the pipeline's id are still there alone")
    say_wrapped(
        "What is here is a copy from now on. Whoever goes on with it sends what is planned a second time: keep it "
        "apart, and remove it when the servers have proven themselves."
    )


_COLUMNS = (Column("What"), Column("Name"), Column("Rows", right=True), Column("State"))
