"""Files of each kind into `items`: JSON, JSON lines, CSV and Parquet, through DuckDB's own readers.

A file that can't be read, or a line of one, becomes a `Problem`, and the others are read all the same.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.sources.shape import Problem

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

_LINE_BYTES = 16 * 1024 * 1024
"""The longest line of JSONL or row of CSV; GitHub's bodies end at 65,536 characters, exports have had 200 kB."""

_KNOWN = frozenset(
    {"repo", "repository", "number", "title", "body", "state", "labels", "user", "author", "comments", "reactions"}
    | {"url", "html_url", "repository_url", "created_at", "updated_at", "closed_at", "pull_request"}
)
"""Columns that are recognised in whatever case a table's head writes them."""


def read_files(connection: DuckDBPyConnection, paths: Sequence[str]) -> list[Problem]:
    """Puts every row of `paths` into `items` of a `reading_room`.

    Returns:
        What could not be read, in the order of `paths`.
    """
    documents = [path for path in paths if _ending(path) in _DOCUMENTS]
    problems = _read_documents(connection, documents) if documents else []
    for path in paths:
        if path not in documents:
            problems += _read_table(connection, path)
    return problems


def _read_table(connection: DuckDBPyConnection, path: str) -> list[Problem]:
    import duckdb

    reader = _TABLES.get(_ending(path))
    if reader is None:
        return [Problem(path, None, "nothing here reads such a file; take .json, .jsonl, .csv or .parquet")]
    try:
        return reader(connection, path)
    except UnicodeDecodeError:
        return [Problem(path, 1, "not text in UTF-8")]
    except (duckdb.Error, csv.Error, OSError) as error:
        return [Problem(path, None, f"can't be read: {_first_sentence(error)}")]


def _read_documents(connection: DuckDBPyConnection, paths: list[str]) -> list[Problem]:
    """One pass over all JSON files, since an issue a file makes many small ones; then the ones that failed."""
    readable = [path for path in paths if _is_readable(path)]
    problems = [Problem(path, None, "can't be opened") for path in paths if path not in set(readable)]
    if readable:
        connection.execute(_DOCUMENTS_READ, [[escape(path) for path in readable]])
        connection.execute(_DOCUMENTS_TO_ITEMS)
        failed = connection.execute(_DOCUMENTS_FAILED).fetchall()
        connection.execute("DROP TABLE documents")
        problems += [problem for (path,) in failed for problem in _why_not_json(connection, path)]
    return problems


def _why_not_json(connection: DuckDBPyConnection, path: str) -> list[Problem]:
    """The line at which a document stops being JSON; a document that is JSON lines after all is read as such."""
    raw = Path(path).read_bytes()
    try:
        json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return [Problem(path, raw.count(b"\n", 0, error.start) + 1, "not JSON: not text in UTF-8")]
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and error.lineno > 1:
            return _read_lines(connection, path)
        return [Problem(path, error.lineno, f"not JSON: {error.msg[0].lower()}{error.msg[1:]}")]
    return [Problem(path, None, "not JSON: it has half of a surrogate pair, which is no text")]


def _read_lines(connection: DuckDBPyConnection, path: str) -> list[Problem]:
    connection.execute(_LINES_READ, {"file": escape(path), "bytes": _LINE_BYTES})
    connection.execute(_LINES_TO_ITEMS, [path])
    failed = connection.execute("SELECT line FROM lines WHERE json IS NULL ORDER BY line").fetchall()
    connection.execute("DROP TABLE lines")
    return _rejected(connection, path) + [Problem(path, line, "not JSON") for (line,) in failed]


def _read_csv(connection: DuckDBPyConnection, path: str) -> list[Problem]:
    """The head is read here: DuckDB's guess skips lines at the top, unsaid, until those below look alike."""
    import duckdb

    names, separator = _head(path)
    if not names:
        return [Problem(path, 1, "an empty file")]
    try:
        _rows_to_items(connection, path, _csv_rows(connection, path, names, separator))
    except duckdb.InvalidInputException:  # lines that end in two ways
        _rows_to_items(connection, path, _csv_rows(connection, path, names, separator, strict=False))
    return _rejected(connection, path)


def _csv_rows(
    connection: DuckDBPyConnection, path: str, names: list[str], separator: str, *, strict: bool = True
) -> DuckDBPyRelation:
    return connection.read_csv(
        escape(path),
        columns=dict.fromkeys(names, "VARCHAR"),
        auto_detect=False,
        header=True,
        sep=separator,
        quotechar='"',
        escapechar='"',
        max_line_size=_LINE_BYTES,
        store_rejects=True,
        strict_mode=strict,
    )


def _head(path: str) -> tuple[list[str], str]:
    """The columns of a CSV file, and what stands between them: whatever gives the most."""
    opened = gzip.open if path.lower().endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        heads: dict[str, list[str]] = {}
        for separator in ",;\t|":
            file.seek(0)
            heads[separator] = next(csv.reader(file, delimiter=separator), list[str]())
    separator = max(heads, key=lambda one: len(heads[one]))
    return _unique(heads[separator]), separator


def _unique(head: list[str]) -> list[str]:
    """Column names as DuckDB takes them, the known ones in lower case."""
    names: list[str] = []
    taken: set[str] = set()
    for position, raw in enumerate(head, 1):
        name = raw.strip() or f"column_{position}"
        name = name.lower() if name.lower() in _KNOWN else name
        name = f"{name}_{position}" if name.lower() in taken else name
        taken.add(name.lower())
        names.append(name)
    return names


def _read_parquet(connection: DuckDBPyConnection, path: str) -> list[Problem]:
    import duckdb

    rows = connection.read_parquet(escape(path))
    columns = zip(rows.columns, _unique(rows.columns), strict=True)
    _rows_to_items(connection, path, rows.select(*[duckdb.ColumnExpression(old).alias(new) for old, new in columns]))
    return []


def _rows_to_items(connection: DuckDBPyConnection, path: str, rows: DuckDBPyRelation) -> None:
    rows.create_view("table_rows", replace=True)
    connection.execute(_TABLE_TO_ITEMS, [path])


def _rejected(connection: DuckDBPyConnection, path: str) -> list[Problem]:
    """The lines that DuckDB's reader left out of this file."""
    rows = connection.execute(_REJECTED, [path]).fetchall()
    return [Problem(path, line, f"left out: {message}") for line, message in rows]


def _is_readable(path: str) -> bool:
    try:
        with Path(path).open("rb"):
            return True
    except OSError:
        return False


def _ending(path: str) -> str:
    """`csv` of `issues.CSV.gz`; a compressed document is none of DuckDB's text files, and keeps its `gz`."""
    suffixes = [suffix.lower().lstrip(".") for suffix in Path(path).suffixes]
    packed = len(suffixes) > 1 and suffixes[-1] == "gz" and suffixes[-2] in _PACKABLE
    return (suffixes[-2] if packed else suffixes[-1]) if suffixes else ""


def _first_sentence(error: Exception) -> str:
    return str(error).split("\n", 1)[0].removeprefix("Invalid Input Error: ").removeprefix("IO Error: ")


_DOCUMENTS = frozenset({"json"})
_PACKABLE = frozenset({"jsonl", "ndjson", "csv", "tsv"})
_TABLES: dict[str, Callable[[DuckDBPyConnection, str], list[Problem]]] = {
    "jsonl": _read_lines,
    "ndjson": _read_lines,
    "csv": _read_csv,
    "tsv": _read_csv,
    "parquet": _read_parquet,
}

KNOWN_ENDINGS = frozenset(_DOCUMENTS | _TABLES.keys())

_DOCUMENTS_READ = """
CREATE OR REPLACE TABLE documents AS
WITH texts AS (
    SELECT filename AS file, ltrim(try(decode(content)), chr(65279)) AS text  -- 65279: a byte order mark
    FROM read_blob(?)
)
SELECT file, CASE WHEN json_valid(text) THEN text::JSON END AS document
FROM texts
"""

_DOCUMENTS_TO_ITEMS = """
INSERT INTO items
WITH lists AS (
    SELECT
        file,
        CASE
            WHEN json_type(document) = 'ARRAY' THEN elements(document)
            WHEN json_type(document, '$.items') = 'ARRAY' AND NOT json_exists(document, '$.title')
                THEN elements(document -> 'items')
        END AS several,
        coalesce(several, [document]) AS found
    FROM documents
    WHERE document IS NOT NULL
),
numbered AS (
    SELECT file, several, unnest(found) AS item, generate_subscripts(found, 1) AS position
    FROM lists
)
SELECT file, position, CASE WHEN several IS NOT NULL THEN 'item ' || position END, NULL, item
FROM numbered
"""

_DOCUMENTS_FAILED = "SELECT file FROM documents WHERE document IS NULL ORDER BY file"

# A CSV of one column that nothing separates or quotes: unlike the JSON reader, it keeps count of the lines.
_LINES_READ = """
CREATE OR REPLACE TABLE lines AS
WITH texts AS (
    SELECT row_number() OVER () AS line, text
    FROM read_csv(
        $file,
        columns = {'text': 'VARCHAR'},
        header = false,
        auto_detect = false,
        delim = '\x01',
        quote = '',
        escape = '',
        max_line_size = $bytes,
        store_rejects = true,
        strict_mode = false  -- takes lines that end in two ways
    )
)
SELECT line, CASE WHEN json_valid(text) THEN text::JSON END AS json
FROM texts
WHERE trim(text) <> ''
"""

_LINES_TO_ITEMS = "INSERT INTO items SELECT ?, line, 'line ' || line, line, json FROM lines WHERE json IS NOT NULL"

_TABLE_TO_ITEMS = """
INSERT INTO items
SELECT ?, row_number() OVER (), 'row ' || row_number() OVER (), NULL, to_json(table_rows)
FROM table_rows
"""

_REJECTED = """
SELECT errors.line, any_value(errors.error_message)
FROM reject_errors AS errors
JOIN reject_scans AS scans USING (scan_id, file_id)
WHERE scans.file_path = ?
GROUP BY errors.line
ORDER BY errors.line
"""
