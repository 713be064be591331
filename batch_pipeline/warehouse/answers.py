"""The typed answers: one table a task, and its view of the newest answer of each record."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch_pipeline.warehouse.citations import make_citations_view
from batch_pipeline.warehouse.ducklake import is_lake, partition
from batch_pipeline.warehouse.names import quoted, text_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OWN_COLUMNS = {
    "record_id": "VARCHAR",
    "repo": "VARCHAR",
    "night": "DATE",
    "provider": "VARCHAR",
    "model": "VARCHAR",
    "prompt_version": "VARCHAR",
    "variant": "VARCHAR",
    "content_hash": "VARCHAR",
    "job_id": "VARCHAR",
    "batch_id": "VARCHAR",
    "custom_id": "VARCHAR",
    "reused_from": "VARCHAR",
    "answered_at": "TIMESTAMPTZ",
}
"""Columns of every task's table, in order; those of the answer stand after `night`."""

_LEADING = 3


@dataclass(frozen=True)
class StoredAnswer:
    """One row of a task's table, to be handed out; `answer` has the answer's fields by name."""

    record_id: str
    repo: str | None
    task: str
    answer: dict[str, object]
    provider: str
    model: str
    prompt_version: str
    variant: str | None
    job_id: str
    reused_from: str | None
    answered_at: datetime

    def told(self) -> dict[str, object]:
        """As JSON would have it."""
        return dict(vars(self))


def answers_of_jobs(
    connection: DuckDBPyConnection, task: str, fields: Sequence[str], job_ids: Sequence[str]
) -> Generator[StoredAnswer]:
    """The newest answer of each record that these jobs answered, in the order of the records' ids."""
    if type_of_column(connection, task, "record_id") is None:
        return
    yield from _stored(
        connection,
        task,
        f"""
        SELECT {_handed_out(fields)}
        FROM {quoted(task)}
        WHERE job_id IN (SELECT unnest($jobs))
        QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY answered_at DESC, job_id DESC) = 1
        ORDER BY record_id
        """,  # noqa: S608 - names are quoted
        {"jobs": list(job_ids)},
    )


@dataclass(frozen=True)
class Which:
    """Which of a task's answers: of this repository, this owner, this variant; all where nothing is said."""

    repo: str | None = None
    org: str | None = None
    variant: str | None = None


def newest_answers(connection: DuckDBPyConnection, task: str, which: Which) -> Generator[StoredAnswer]:
    """The newest answer of each record and variant, in the order of the records' ids."""
    if type_of_column(connection, task, "record_id") is None:
        return
    yield from _stored(connection, task, _newest(task, _handed_out(answer_fields(connection, task))), vars(which))


def newest_rows(connection: DuckDBPyConnection, task: str, which: Which) -> DuckDBPyConnection | None:
    """The same as rows of the task's table, to be fetched; None where the task has no table yet."""
    if type_of_column(connection, task, "record_id") is None:
        return None
    return connection.execute(_newest(task, "*"), vars(which))


def answer_fields(connection: DuckDBPyConnection, task: str) -> list[str]:
    """The columns of the task's table that are of its answers."""
    return [name for name in columns_of(connection, task) if name not in OWN_COLUMNS]


def columns_of(connection: DuckDBPyConnection, table: str) -> dict[str, str]:
    """The table's columns and their types, in order; none where there is no such table."""
    rows = connection.execute(_COLUMNS, [table]).fetchall()
    return {str(name): str(kind) for name, kind in rows}


_COLUMNS = """
    SELECT column_name, data_type
    FROM duckdb_columns()
    WHERE table_name = ? AND database_name = current_database()
    ORDER BY column_index
"""


def _newest(task: str, fields: str) -> str:
    return f"""
        SELECT {fields}
        FROM {quoted(task + "_latest")}
        WHERE ($repo IS NULL OR repo = $repo)
            AND ($org IS NULL OR split_part(repo, '/', 1) = $org)
            AND ($variant IS NULL OR variant = $variant)
        ORDER BY record_id, variant
    """  # noqa: S608 - names are quoted


def _handed_out(fields: Sequence[str]) -> str:
    answer = ", ".join(f"{quoted(name)}: {quoted(name)}" for name in fields)
    # a TIMESTAMPTZ would need pytz on its way to Python
    return f"""record_id, repo, to_json({{{answer}}}), provider, model, prompt_version, variant, job_id, reused_from,
            timezone('UTC', answered_at)"""


def _stored(
    connection: DuckDBPyConnection, task: str, sql: str, parameters: Mapping[str, object]
) -> Generator[StoredAnswer]:
    rows = connection.execute(sql, dict(parameters))
    while row := rows.fetchone():
        record_id, repo, told, provider, model, version, variant, job_id, reused_from, at = row
        made_by = (provider, model, version, variant, job_id, reused_from, at.replace(tzinfo=UTC))
        yield StoredAnswer(record_id, repo, task, json.loads(told), *made_by)


def answers_by_version(connection: DuckDBPyConnection, task: str) -> dict[tuple[str, str | None], int]:
    """How many records have their newest answer of which prompt version, by version and variant."""
    if type_of_column(connection, task, "record_id") is None:
        return {}
    rows = connection.execute(
        f"SELECT prompt_version, variant, count(*) FROM {quoted(task + '_latest')} GROUP BY ALL"  # noqa: S608 - quoted
    ).fetchall()
    return {(version, variant): count for version, variant, count in rows}


def type_of_column(connection: DuckDBPyConnection, table: str, column: str) -> str | None:
    """The column's type, or None where there is no such table or column."""
    return columns_of(connection, table).get(column)


def dimensions(connection: DuckDBPyConnection, task: str, model: str) -> int | None:
    """How many numbers the embeddings have that a model gave for a task; None where there are none yet."""
    if type_of_column(connection, task, "embedding") is None:
        return None
    found = connection.execute(f"SELECT len(embedding) FROM {quoted(task)} WHERE model = ? LIMIT 1", [model]).fetchone()  # noqa: S608 - quoted
    return int(found[0]) if found else None


def make_table(connection: DuckDBPyConnection, task: str, answer_columns: Mapping[str, str]) -> None:
    """Makes the task's table and view, or widens them by the fields that are new."""
    known = columns_of(connection, task)
    if known.keys() >= answer_columns.keys() and known:
        return  # a view that is made anew would be a change of the schema at each batch
    if not known:
        _make(connection, task, answer_columns)
    for name, kind in answer_columns.items():
        connection.execute(f"ALTER TABLE {quoted(task)} ADD COLUMN IF NOT EXISTS {quoted(name)} {kind}")
    connection.execute(f"""
        CREATE OR REPLACE VIEW {quoted(task + "_latest")} AS
        SELECT *
        FROM {quoted(task)}
        QUALIFY row_number() OVER (PARTITION BY record_id, variant ORDER BY answered_at DESC, job_id DESC) = 1
    """)  # noqa: S608 - names are quoted
    if "citations" in answer_columns:
        make_citations_view(connection)


def _make(connection: DuckDBPyConnection, task: str, answer_columns: Mapping[str, str]) -> None:
    own = list(OWN_COLUMNS.items())
    columns = dict([*own[:_LEADING], *answer_columns.items(), *own[_LEADING:]])
    made = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
    connection.execute(f"CREATE TABLE {quoted(task)} ({made})")
    if is_lake(connection):
        partition(connection, task)


def parsed(answer_columns: Mapping[str, str], text: str) -> str:
    """SQL of the answer's columns, out of the SQL `text` of an answer that has been checked against its schema."""
    return ", ".join(f"{_field(name, kind, text)} AS {quoted(name)}" for name, kind in answer_columns.items())


def parsed_members(columns: Mapping[str, str], text: str) -> str:
    """The same, as members of a STRUCT."""
    return ", ".join(f"{text_literal(name)}: {_field(name, kind, text)}" for name, kind in columns.items())


def _field(name: str, kind: str, text: str) -> str:
    path = text_literal(f"$.{quoted(name)}")
    nested = kind == "JSON" or kind.endswith(("]", ")"))
    extract = "json_extract" if nested else "json_extract_string"
    return f"TRY_CAST({extract}({text}, {path}) AS {kind})"
