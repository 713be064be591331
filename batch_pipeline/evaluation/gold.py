"""Gold answers from a file: CSV, JSON, JSON lines or Parquet, a row a record.

`record_id` says which record a row is of; where it is missing, what `issues load` makes of the row says it: `repo` and
`number`, `url`, or `repo` and the row's position in the file. The other columns are the answer's fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from batch_pipeline.errors import InvalidSelection, UnreadableFile
from batch_pipeline.evaluation.fields import Field, Labels, chosen
from batch_pipeline.sources.readers import read_files
from batch_pipeline.sources.shape import Problem, reading_room, shape_issues
from batch_pipeline.tasks.task import BatchTask

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class GoldRow:
    """A record's gold answers, by field; a field that has none is not in it."""

    record_id: str
    labels: Mapping[str, Labels]


@dataclass(frozen=True)
class GoldFile:
    """A file of gold answers. `rows` has each record once; `problems` are rows that were left out."""

    source: str
    fields: Sequence[Field]
    rows: Sequence[GoldRow]
    problems: Sequence[Problem] = field(default_factory=list[Problem])


def read_gold(path: Path, task: BatchTask, asked: Sequence[str] = ()) -> GoldFile:
    """Reads gold answers.

    Args:
        path: The file.
        task: Whose answers they are.
        asked: The fields that are meant; those that the file has where there are none.

    Raises:
        UnreadableFile: There is no such file, or not one row in it can be read.
        InvalidSelection: A field is not the task's, can't be scored, or is not in the file.
    """
    if not path.is_file():
        raise UnreadableFile(f"There is no file {path}. Gold answers are a CSV, JSON, JSONL or Parquet file.")
    with reading_room() as room:
        problems = read_files(room, [str(path)])
        found = _items(room)
    if not found:
        why = f": {problems[0]}" if problems else "; it is empty."
        raise UnreadableFile(f"{path} has no gold answer that can be read{why}")
    columns = list(dict.fromkeys(name for item in found for name in item.values))
    fields = chosen(task, columns, asked)
    rows: dict[str, GoldRow] = {}
    for item in found:
        row = _row(item, fields, problems)
        if row is None:
            continue
        if rows.setdefault(row.record_id, row).labels != row.labels:
            problems.append(item.problem(f"`{row.record_id}` has another gold answer further up; that one is taken"))
    if not rows:
        why = f": {problems[0].message}" if problems else ""
        raise InvalidSelection(f"{path} has no gold answer for `{'`, `'.join(each.name for each in fields)}`{why}.")
    return GoldFile(path.name, fields, list(rows.values()), problems)


@dataclass(frozen=True)
class _Item:
    """A row of the file: what it says, and which record it is of."""

    file: str
    place: str | None
    line: int | None
    record_id: str | None
    values: Mapping[str, object]

    def problem(self, message: str) -> Problem:
        return Problem(self.file, self.line, message if self.line or not self.place else f"{self.place}: {message}")


def _items(room: DuckDBPyConnection) -> list[_Item]:
    room.execute("CREATE TABLE gold AS SELECT * FROM items")
    shape_issues(room)
    return [
        _Item(file, place, line, record_id, cast("dict[str, object]", json.loads(values)))
        for file, place, line, record_id, values in room.execute(_ROWS).fetchall()
    ]


def _row(item: _Item, fields: Sequence[Field], problems: list[Problem]) -> GoldRow | None:
    if item.record_id is None:
        problems.append(item.problem("no record: it needs `record_id`, or `repo` and `number`"))
        return None
    labels: dict[str, Labels] = {}
    for each in fields:
        value = item.values.get(each.name)
        if value is None or value == "":
            continue
        try:
            labels[each.name] = each.labels(value)
        except ValueError as error:
            problems.append(item.problem(f"`{each.name}` of {item.record_id}: {error}"))
    return GoldRow(item.record_id, labels) if labels else None


_ROWS = """
SELECT gold.file, gold.place, gold.line, coalesce(said(gold.item, '$.record_id'), shaped.record_id), gold.item
FROM gold
JOIN shaped ON shaped.file = gold.file AND shaped.position = gold.position
WHERE json_type(gold.item) = 'OBJECT'
ORDER BY gold.file, gold.position
"""
