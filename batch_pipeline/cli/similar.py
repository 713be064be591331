"""`similar`: the nearest neighbours of a record, among embeddings."""

from __future__ import annotations

from typing import Annotated

import typer

from batch_pipeline.cli.output import AsJson, Column, print_json, print_table, say
from batch_pipeline.cli.session import opened


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Show the issues that are most like one.")(similar)


def similar(
    record: Annotated[str, typer.Argument(metavar="ISSUE", help="Its record_id, such as octo/hello#12")],
    *,
    task: Annotated[str, typer.Option(help="The task whose embeddings are compared.")] = "issue_embeddings",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many neighbours.")] = 5,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Look in all repositories.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the issues most like one, by the cosine similarity of their embeddings (1: the same).

    Example: batch-pipeline similar acme/orbit#12
    """
    from batch_pipeline.errors import UsageError
    from batch_pipeline.tasks.registry import load_tasks
    from batch_pipeline.warehouse.answers import type_of_column
    from batch_pipeline.warehouse.neighbours import embedded, nearest

    name = load_tasks().get(task).name
    with opened() as pipeline, pipeline.warehouse.read() as connection:
        if type_of_column(connection, name, "embedding") is None:
            raise UsageError(f"`{name}` has no embeddings yet: batch-pipeline submit {name} makes them.")
        found = embedded(connection, name, record)
        if found is None:
            known = f'batch-pipeline query "SELECT record_id FROM {name}"'  # noqa: S608 - shown to a person
            raise UsageError(
                f"`{record}` has no embedding. {known} shows what has; submit {name} makes what is missing."
            )
        neighbours = nearest(connection, name, found, limit=limit, everywhere=everywhere)
    if as_json:
        print_json({"record_id": record, "model": found.model, "neighbours": [vars(each) for each in neighbours]})
        return
    if not neighbours:
        where = "anywhere" if everywhere else "in its repository (--everywhere looks in all)"
        say(f"Nothing else is embedded by {found.model} {where}.")
        return
    columns = [Column("similarity", right=True), Column("record"), Column("title", shrinks=True)]
    print_table(columns, [(f"{each.similarity:.3f}", each.record_id, each.title or "") for each in neighbours])
