"""Rows of one's own, of whatever columns, from files into a table that a task may read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.sources.files import matching_files
from batch_pipeline.sources.readers import read_files
from batch_pipeline.sources.shape import Problem, reading_room
from batch_pipeline.warehouse.names import quoted, text_literal
from batch_pipeline.warehouse.rows import check_table_name, replace_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from batch_pipeline.warehouse.connection import Warehouse

ID_COLUMNS = ("record_id", "id")
"""What names a row where nobody says; the first that the rows have."""
_BATCH_ROWS = 1_000


@dataclass(frozen=True)
class LoadedRows:
    """What came of a load.

    `columns` are the table's, name to DuckDB type. `id_column` is the one that became `record_id`; None where the rows
    were counted. `problems` are files and rows that were left out.
    """

    table: str
    rows: int
    files: int
    columns: Mapping[str, str]
    id_column: str | None
    problems: tuple[Problem, ...] = ()


def load_rows(warehouse: Warehouse, patterns: Sequence[str], table: str, id_column: str | None = None) -> LoadedRows:
    """Reads files and puts their rows in the place of what the table held, in one transaction.

    Args:
        warehouse: Where the table is.
        patterns: Files, globs or folders: JSON, JSONL, CSV, Parquet.
        table: Its name; made where it is not there.
        id_column: The column that tells the rows apart, in whatever case. Without it, `record_id` or `id`; where the
            rows have neither, they are counted: `<table>#1`.

    Numbers, truth values, lists and objects keep their types, and columns of a CSV file that hold nothing but numbers
    are numbers; dates and times are text as in ISO 8601.

    Raises:
        InvalidSelection: No file matches, none of its rows can be read, the table's name can't be taken, or the column
            does not tell the rows apart. Nothing was changed.
    """
    check_table_name(table)
    paths = matching_files(patterns)
    with reading_room() as room:
        problems = [*read_files(room, paths), *_no_objects(room)]
        _spread(room, problems)
        columns = _types(room, "SELECT it.* FROM spread")
        chosen = _id_column(columns, id_column)
        types = (
            _number_types(room, columns) if all(re.search(r"\.[ct]sv(\.gz)?$", one.lower()) for one in paths) else {}
        )
        room.execute(_named(table, columns, chosen, types))
        _check_ids(room, chosen)
        with warehouse.write() as connection:
            rows = room.table("named").to_arrow_reader(_BATCH_ROWS)
            count = replace_rows(connection, table, rows, f"rows of {', '.join(patterns)}")
        return LoadedRows(table, count, len(paths), _types(room, "named"), chosen, tuple(problems))


def _no_objects(room: DuckDBPyConnection) -> list[Problem]:
    rows = room.execute("SELECT file, line, place FROM items WHERE json_type(item) <> 'OBJECT'").fetchall()
    room.execute("DELETE FROM items WHERE json_type(item) <> 'OBJECT'")
    return [Problem(file, line, f"{place or 'the document'}: no object with columns") for file, line, place in rows]


def _spread(room: DuckDBPyConnection, problems: Sequence[Problem]) -> None:
    """Makes the table `spread` of `items`: each row as a struct `it`, and its `place` among all, from 1."""
    import duckdb

    (structure,) = cast("tuple[str | None]", room.execute("SELECT json_group_structure(item) FROM items").fetchone())
    if structure is None:
        why = f" {problems[0]}." if problems else ""
        raise InvalidSelection(f"There is no row to load.{why} Nothing was changed.")
    try:
        room.execute(_SPREAD.format(structure=text_literal(structure)))
    except duckdb.Error as error:
        told = str(error).split("\n", 1)[0]
        raise InvalidSelection(f"These rows can't stand in one table: {told} Nothing was changed.") from None
    room.execute("TRUNCATE items")


def _types(room: DuckDBPyConnection, select: str) -> dict[str, str]:
    return {str(row[0]): str(row[1]) for row in room.execute(f"DESCRIBE {select}").fetchall()}


def _id_column(columns: Mapping[str, str], wanted: str | None) -> str | None:
    by_name = {name.lower(): name for name in columns}
    if wanted is not None and wanted.lower() not in by_name:
        raise InvalidSelection(
            f"The rows have no column `{wanted}`; they have: {', '.join(columns)}. Nothing was changed."
        )
    names = ID_COLUMNS if wanted is None else (wanted.lower(),)
    return next((by_name[name] for name in names if name in by_name), None)


def _number_types(room: DuckDBPyConnection, columns: Mapping[str, str]) -> dict[str, str]:
    """Of columns of text, those whose every value is a number as a program writes it: 007 and 1e5 stay text."""
    asked = [name for name, kind in columns.items() if kind == "VARCHAR"]
    types: dict[str, str] = {}
    for kind, pattern in (("DOUBLE", r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?"), ("BIGINT", r"-?(0|[1-9]\d{0,17})")):
        tests = ", ".join(f"bool_and(regexp_full_match(it.{quoted(name)}, '{pattern}'))" for name in asked)
        found = room.execute(f"SELECT {tests} FROM spread").fetchone() if asked else None  # noqa: S608 - quoted
        types |= {name: kind for name, fits in zip(asked, found or (), strict=False) if fits}
    return types


def _named(table: str, columns: Mapping[str, str], id_column: str | None, types: Mapping[str, str]) -> str:
    counted = f"{text_literal(f'{table}#')} || place"
    record_id = counted if id_column is None else f"trim(CAST(it.{quoted(id_column)} AS VARCHAR))"
    kept = [name for name in columns if name.lower() != "record_id"]
    told = [f"CAST(it.{quoted(name)} AS {types.get(name, columns[name])}) AS {quoted(name)}" for name in kept]
    return f"""
        CREATE TABLE named AS
        SELECT {", ".join([f"{record_id} AS record_id", *told])}
        FROM spread
        ORDER BY place
    """  # noqa: S608 - names are quoted


def _check_ids(room: DuckDBPyConnection, id_column: str | None) -> None:
    found = room.execute(_NOT_APART).fetchone()
    if found:
        told = f"has `{found[0]}` in {found[1]:,} rows" if found[0] else f"is empty in {found[1]:,} of the rows"
        raise InvalidSelection(
            f"Column `{id_column}` {told}: it must name each row. Correct it, or name another with --id. "
            "Nothing was changed."
        )


_SPREAD = """
CREATE TABLE spread AS
SELECT from_json(item, {structure}) AS it, row_number() OVER (ORDER BY file, position) AS place
FROM items
"""

_NOT_APART = """
SELECT record_id, count(*)
FROM named
GROUP BY record_id
HAVING count(*) > 1 OR coalesce(record_id, '') = ''
ORDER BY record_id NULLS FIRST
LIMIT 1
"""
