"""Which records a job asks about: a task's `records`, or a person's query, narrowed by filters and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, cast

from batch_pipeline.batches.requests.foreign_query import ASKED_FOR, PLACE, ask_for, describe
from batch_pipeline.batches.requests.orders import order_by
from batch_pipeline.batches.requests.prepared import CONTENT_HASH, Prepared, bound
from batch_pipeline.batches.requests.selection import Selection, Which
from batch_pipeline.errors import InvalidSelection, InvalidTask
from batch_pipeline.tasks.task import BatchTask
from batch_pipeline.warehouse.answers import columns_of
from batch_pipeline.warehouse.names import quoted, text_literal
from batch_pipeline.warehouse.rows import is_of_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from batch_pipeline.warehouse.connection import Warehouse


def connection_for(warehouse: Warehouse, selection: Selection) -> AbstractContextManager[DuckDBPyConnection]:
    """The connection that a selection is prepared and read on: one that can do nothing else, where it is a query."""
    return warehouse.read() if selection.sql is None else warehouse.guarded()


def check(connection: DuckDBPyConnection, task: BatchTask, selection: Selection) -> None:
    """Checks what `prepare` does, but for what only the records show: no record is read, and no query is run.

    Raises:
        UsageError: As `prepare`.
    """
    if selection.sql is None:
        columns = _columns_of(connection, task)
        _check_columns(task, columns)
    else:
        columns = describe(connection, task, selection.sql).columns
    _check_answer_columns(connection, task)
    _selected(task, selection, "", columns)
    _order(task, selection, columns)


def prepare(
    connection: DuckDBPyConnection, task: BatchTask, selection: Selection, seconds: float | None = None
) -> Prepared:
    """Checks a task's SQL and columns, and a selection, and puts them together.

    A query is run once, into a table that lasts as long as the connection: whatever it gives, it gives it once.

    Args:
        connection: Of `connection_for`; the records are to be streamed from the same one.
        task: What is asked.
        selection: Of which records.
        seconds: The longest that its query may run.

    Raises:
        UsageError: The selection's SQL is more than a SELECT.
        InvalidTask: The task's SQL is wrong, or lacks a column; says which columns there are.
        InvalidSelection: A filter or an order names a column that the records have not; the selection's SQL can't be
            run, or lacks a column.
    """
    if selection.sql is None:
        records, columns = task.records, _columns_of(connection, task)
        _check_columns(task, columns)
    else:
        records, columns = f"FROM {ASKED_FOR}", ask_for(connection, task, selection.sql, seconds)
    answered = _check_answer_columns(connection, task)
    selected = _selected(task, selection, records, columns)
    used = task.columns or tuple(name for name in columns if name not in ("record_id", "repo", "night"))
    wanted = _wanted(task, selection, selected, used, columns, answered=answered)
    parameters = _parameters(task, selection)
    return Prepared(
        count=_count(connection, task, selection, selected, parameters),
        **wanted,
        parameters=parameters,
        columns=used,
    )


def _columns_of(connection: DuckDBPyConnection, task: BatchTask) -> dict[str, str]:
    import duckdb

    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM ({task.records})").fetchall()  # noqa: S608 - the task's own SQL
    except duckdb.Error as error:
        raise InvalidTask(f"Task `{task.name}`: its SQL can't be run: {error}") from None
    return {str(row[0]): str(row[1]) for row in rows}


def _check_columns(task: BatchTask, columns: Mapping[str, str]) -> None:
    needed = list(task.needs)
    needed += {"repo_night": ["repo", "night"], "night": ["night"], None: []}[task.partitions]
    needed += task.truncate_at
    if missing := [name for name in needed if name not in columns]:
        raise InvalidTask(
            f"Task `{task.name}`: its records have no column `{'`, `'.join(missing)}`. They have: {', '.join(columns)}."
        )


def _check_answer_columns(connection: DuckDBPyConnection, task: BatchTask) -> bool:
    """Whether the task has a table of answers."""
    if is_of_rows(connection, task.name):
        raise InvalidTask(f"Task `{task.name}`: the table of that name holds rows that were loaded; rename the task.")
    known = columns_of(connection, task.name)
    for name, kind in task.answer_columns.items():
        there = known.get(name)
        if there is not None and there != _normal_type(kind):
            raise InvalidTask(
                f"Task `{task.name}`: column `{name}` of its table is {there}, and the answer's field now is {kind}. "
                "Give the field another name: a table is widened, never rewritten."
            )
    return bool(known)


@cache
def _normal_type(kind: str) -> str:
    """As DuckDB writes it."""
    import duckdb

    with duckdb.connect() as connection:
        row = connection.execute(f"SELECT typeof(CAST(NULL AS {kind}))").fetchone()
    return str(cast("tuple[str]", row)[0])


def _selected(task: BatchTask, selection: Selection, records: str, columns: Mapping[str, str]) -> str:
    conditions = [
        _filter(task, selection, name, columns)
        for name in ("night", "repo", "org", "state")
        if getattr(selection, name)
    ]
    if selection.ids is not None:
        conditions.append("record_id IN (SELECT unnest($ids))")
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT * FROM ({records}) AS records {where}"  # noqa: S608 - values are bound


def _filter(task: BatchTask, selection: Selection, name: str, columns: Mapping[str, str]) -> str:
    if name not in columns:
        whose = f"Task `{task.name}` can't be narrowed by {name}: its records have"
        if selection.sql is not None:
            whose = f"The query can't be narrowed by {name}: it gives"
        raise InvalidSelection(f"{whose} no such column, only {', '.join(columns)}.")
    return f"{name} = ${name}"


def _parameters(task: BatchTask, selection: Selection) -> dict[str, object]:
    return {
        "night": selection.night,
        "repo": selection.repo,
        "org": selection.org,
        "state": selection.state,
        "ids": list(selection.ids or ()),
        "variant": selection.variant,
        "prompt_version": task.prompt_version(selection.variant),
    }


def _wanted(
    task: BatchTask,
    selection: Selection,
    selected: str,
    used: tuple[str, ...],
    columns: Mapping[str, str],
    *,
    answered: bool,
) -> dict[str, str]:
    content = ", ".join(f"CAST({quoted(name)} AS VARCHAR)" for name in used)
    own = [
        "record_id",
        "repo" if "repo" in columns else "NULL AS repo",
        "CAST(night AS DATE) AS night" if "night" in columns else "NULL AS night",
        f"md5(CAST(to_json([{content}]) AS VARCHAR)) AS {CONTENT_HASH}",
    ]
    further = [quoted(name) for name in used if name not in ("record_id", "repo", "night")]
    order = _order(task, selection, columns)
    # a number for each would put all columns in order twice
    place = order if order == "record_id" else f"row_number() OVER (ORDER BY {order})"
    limit = f"LIMIT {int(selection.limit)}" if selection.limit is not None else ""
    hashed = f"""
        WITH selected AS ({selected}),
        hashed AS (
            SELECT {", ".join([*own, *further])}, {place} AS place
            FROM selected
        )
    """  # noqa: S608 - names are quoted, values are bound
    asked = f"FROM hashed {_not_answered(task, selection.which) if answered else ''} ORDER BY place {limit}"
    keys = f"""{hashed}, asked AS (SELECT record_id, place {asked})
        SELECT record_id, row_number() OVER (ORDER BY place) - 1 AS place FROM asked
    """  # noqa: S608 - the same
    window = f"""
        WITH selected AS ({selected}),
        wanted AS (
            SELECT selected.*, _asked.place AS _place
            FROM selected
            JOIN _asked USING (record_id)
            WHERE _asked.place BETWEEN $first AND $last
        )
        SELECT {", ".join([*own, *further])} FROM wanted ORDER BY _place
    """  # noqa: S608 - the same
    return {"wanted": f"{hashed} SELECT * EXCLUDE (place) {asked}", "keys": keys, "window": window}


def _order(task: BatchTask, selection: Selection, columns: Mapping[str, str]) -> str:
    if selection.order is not None:
        return order_by(selection.order, columns)
    return task.order if selection.sql is None else PLACE


def _not_answered(task: BatchTask, which: Which) -> str:
    if which == "all":
        return ""
    same = {
        "new": f"AND answered.content_hash = hashed.{CONTENT_HASH}",
        "missing": "",
        "outdated": f"AND answered.content_hash = hashed.{CONTENT_HASH} AND answered.prompt_version = $prompt_version",
    }[which]
    return f"""WHERE NOT EXISTS (
            SELECT 1 FROM {quoted(task.name)} AS answered
            WHERE answered.record_id = hashed.record_id AND answered.variant IS NOT DISTINCT FROM $variant {same}
        )"""  # noqa: S608 - names are quoted, values are bound


def _count(
    connection: DuckDBPyConnection,
    task: BatchTask,
    selection: Selection,
    selected: str,
    parameters: Mapping[str, object],
) -> int:
    """Records of the selection, each with an id of its own."""
    ids = f"""
        SELECT coalesce(sum(times), 0), coalesce(max(times), 0), arg_max(record_id, times), bool_or(record_id IS NULL)
        FROM (SELECT record_id, count(*) AS times FROM ({selected}) GROUP BY record_id)
    """  # noqa: S608 - our own text
    ((count, most, which, nameless),) = connection.execute(ids, bound(parameters, ids)).fetchall()
    if most > 1 or nameless:
        which = None if nameless else which
        told = f"record_id {text_literal(which)} more than once, or not at all; it must be there, and be unique"
        if selection.sql is not None:
            raise InvalidSelection(f"The query gives {told}.")
        raise InvalidTask(f"Task `{task.name}`: its records give {told} within the task.")
    return int(count)
