"""Rows as CSV, JSON or Parquet, to a file or to stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import typer

from batch_pipeline.cli.output import as_json_text

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["table", "csv", "json", "parquet"]


def must_not_be_shown(form: str, output: Path | None) -> None:
    """Before Parquet goes to a terminal.

    Raises:
        BadParameter: It would.
    """
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is no text: give --output FILE, or pipe it into one.")


def write(rows: pa.RecordBatchReader, form: Format, output: Path | None) -> None:
    """Streams the rows, to stdout where no file is given; JSON is a list, held in memory."""
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
