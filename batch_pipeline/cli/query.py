"""`query`: read-only SQL on the warehouse."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from batch_pipeline.cli.output import AsJson, Column, as_json_text, plural, print_table, say
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

Format = Literal["table", "csv", "json", "parquet"]

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
    """Run SQL on the warehouse. It can't write, reach files or load extensions."""
    form = "json" if as_json else form
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is no text: give --output FILE, or pipe it into one.")
    from batch_pipeline.batches.report import refresh_reports

    with opened() as pipeline:
        refresh_reports(pipeline)
        with pipeline.warehouse.guarded() as connection:
            rows = _run(connection, sql)
            if form == "table" and output is None:
                _print_table(rows)
            else:
                _write(rows, form, output)


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


def _write(rows: pa.RecordBatchReader, form: Format, output: Path | None) -> None:
    """Streams the rows; JSON is a list, held in memory."""
    with output.open("wb") if output else nullcontext(sys.stdout.buffer) as file:
        _WRITERS[form](rows, file)


def _write_csv(rows: pa.RecordBatchReader, file: BinaryIO) -> None:
    """As DuckDB writes it: lists and structs as text, which pyarrow's writer can't."""
    import csv
    from io import TextIOWrapper

    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(rows.schema.names)
    for batch in rows:
        writer.writerows(tuple(row.values()) for row in batch.to_pylist())
    text.detach()


def _write_json(rows: pa.RecordBatchReader, file: BinaryIO) -> None:
    file.write(as_json_text(rows.read_all().to_pylist()).encode())


def _write_parquet(rows: pa.RecordBatchReader, file: BinaryIO) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)


_WRITERS: dict[Format, Callable[[pa.RecordBatchReader, BinaryIO], None]] = {
    "csv": _write_csv,
    "json": _write_json,
    "parquet": _write_parquet,
}
