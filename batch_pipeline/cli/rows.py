"""`rows`: records in, from files of whatever columns."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from batch_pipeline.cli.issues import tell_problems
from batch_pipeline.cli.output import AsJson, plural, print_json, say
from batch_pipeline.cli.session import opened

group = typer.Typer(help="Rows of your own in: from files.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    group.callback()(_group)
    app.add_typer(group, name="rows")


def _group() -> None:
    """Without it, a group of one verb would be that verb."""


@group.command()
def load(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files, folders or globs: JSON, JSONL, CSV, Parquet.")
    ],
    *,
    table: Annotated[str, typer.Option("--table", metavar="NAME", help="The table; what it held is replaced.")],
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="COLUMN", help="What names a row; `record_id`, `id` or the rows' count otherwise."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load rows of your own into a table that a task may read.

    Example: batch-pipeline rows load reviews.csv --table reviews
    """
    from batch_pipeline.errors import InvalidSelection
    from batch_pipeline.sources.rows import load_rows
    from batch_pipeline.tasks.registry import load_tasks
    from batch_pipeline.tasks.task import PROJECT_TABLES

    if table in PROJECT_TABLES or table.removesuffix("_latest") in load_tasks().by_name:
        raise InvalidSelection(f"`{table}` is the name of a table of the project or of a task; give the rows another.")
    with opened() as pipeline:
        loaded = load_rows(pipeline.warehouse, files, table, id_column)
    if as_json:
        print_json(asdict(loaded))
    else:
        named = (
            f"`{loaded.id_column}`" if loaded.id_column else "counted, since no column is called `record_id` or `id`"
        )
        say(f"{plural(loaded.rows, 'row')} of {plural(loaded.files, 'file')} in the table `{table}`.")
        say(f"  record_id: {named}")
        say(f"  columns: {', '.join(name for name in loaded.columns if name != 'record_id')}")
        say(f'A task asks about them with records="FROM {table}".')
    tell_problems(loaded)
    if loaded.problems:
        raise typer.Exit(1)
