"""`query`: read-only SQL on the warehouse."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import inf
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.output import AsJson, Column, one_line, plural, print_table, say, say_wrapped
from batch_pipeline.cli.session import opened
from batch_pipeline.cli.tabular import Format, must_not_be_shown, write

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

SHOWN = 500
"""Rows of a table that are printed; a person reads no more, and the other formats give all."""

READABLE = 20
"""Characters of a cell that a terminal shows at least; columns that have no room for that are named below the table."""

GAP = 2
"""Characters between two columns."""


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(query)


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT, such as: FROM issues LIMIT 5")],
    *,
    form: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run SQL on the warehouse. It can't write, reach files or load extensions.

    Example: batch-pipeline query "SELECT label, count(*) FROM issue_kind_latest GROUP BY label" --format csv
    """
    form = "json" if as_json else form
    must_not_be_shown(form, output)
    from batch_pipeline.batches.standing.report import refresh_reports

    with opened() as pipeline:
        refresh_reports(pipeline)
        with pipeline.warehouse.guarded() as connection:
            rows = _run(connection, sql)
            if form == "table" and output is None:
                _print_table(rows)
            else:
                write(rows, form, output)


def _run(connection: DuckDBPyConnection, sql: str) -> pa.RecordBatchReader:
    import duckdb

    from batch_pipeline.errors import UsageError
    from batch_pipeline.warehouse.foreign_sql import in_one_line, one_select

    select = one_select(connection, sql)
    try:
        return connection.execute(select).to_arrow_reader(10_000)
    except duckdb.Error as error:
        raise UsageError(in_one_line(str(error))) from None


def _print_table(rows: pa.RecordBatchReader) -> None:
    table = rows.read_all()
    columns = [
        Column(name, right=_is_number(kind), shrinks=True)
        for name, kind in zip(table.schema.names, table.schema.types, strict=True)
    ]
    cells = [tuple(row.values()) for row in table.slice(0, SHOWN).to_pylist()]
    room = get_terminal_size().columns if sys.stdout.isatty() else inf
    shown = columns_with_room(columns, cells, room)
    if columns:
        print_table(columns[:shown], [row[:shown] for row in cells])
    more = f", {SHOWN} of them shown; --format csv gives all" if table.num_rows > SHOWN else ""
    say(f"({plural(table.num_rows, 'row')}{more})")
    if shown < len(columns):
        beyond = ", ".join(column.head for column in columns[shown:])
        say_wrapped(f"No room for {beyond}. SELECT what you want to see; --format csv gives all.")


def columns_with_room(columns: Sequence[Column], rows: Sequence[Sequence[object]], room: float) -> int:
    """How many of the first columns can be read in `room` characters: each whole, or `READABLE` characters of it."""
    used = 0
    for number, column in enumerate(columns):
        widest = max([len(column.head), *(len(one_line(row[number])) for row in rows)])
        used += min(widest, READABLE)
        if used > room and number:
            return number
        used += GAP
    return len(columns)


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    return kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind)
