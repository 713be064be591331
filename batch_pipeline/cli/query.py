"""`query`: read-only SQL on the warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.output import AsJson, Column, plural, print_table, say
from batch_pipeline.cli.session import opened
from batch_pipeline.cli.tabular import Format, must_not_be_shown, write

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

SHOWN = 500
"""Rows of a table that are printed; a person reads no more, and the other formats give all."""


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
    if columns:
        print_table(columns, [tuple(row.values()) for row in table.slice(0, SHOWN).to_pylist()])
    more = f", {SHOWN} of them shown; --format csv gives all" if table.num_rows > SHOWN else ""
    say(f"({plural(table.num_rows, 'row')}{more})")


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    return kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind)
