"""What came of a run's items: one result each, and the answers as a typed pandas frame."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import isclass
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel

from batch_pipeline.ledger.jobs import Job
from batch_pipeline.notebook.known import rows_of
from batch_pipeline.notebook.store import Asked
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.tasks.task import Answer, Quote
from batch_pipeline.warehouse.answers import type_of_column
from batch_pipeline.warehouse.names import quoted

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

Chains = Mapping[str, Sequence[Job]]
"""Job to it and its attempts, in order."""

OPEN = frozenset({"pending", "waiting"})
"""Outcomes of items that may still be answered, while their job is not through."""


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What came of one item.

    `outcome` is one of docs/how-it-works.md; `parsed` is the answer as its model has it: a pydantic object, a text, a
    list of numbers, or a dict where the model is not known. Tokens and `cost_usd` are those of all of its `attempts`;
    what it shares with identical items is divided among them, and what was bought before costs nothing.
    """

    record_id: str
    outcome: str
    text: str | None = None
    parsed: object = None
    citations: Sequence[Quote] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    attempts: int = 0
    error: str | None = None
    error_code: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether it has its answer."""
        return self.outcome == "answered"


def results(
    connection: DuckDBPyConnection, asked: Sequence[Asked], chains: Chains, answer: Answer | None
) -> list[ItemResult]:
    """One result an item, in the order of the items.

    Args:
        connection: Of `Warehouse.read()`.
        asked: The items.
        chains: Their jobs.
        answer: The answer's model, where it is known.
    """
    roots = _scope(connection, asked, chains)
    snapshots = {root: TaskSnapshot.model_validate_json(chain[0].snapshot) for root, chain in chains.items()}
    closed = {root: chain[-1].closed_at is not None for root, chain in chains.items()}
    found: list[ItemResult] = []
    rows = connection.execute(_RESULTS)
    for each, root in zip(asked, roots, strict=True):
        record_id, outcome, text, vector, code, message, input_tokens, output_tokens, usd, sent = cast(
            "tuple[str, str | None, str | None, list[float] | None, str | None, str | None, int, int, float, int]",
            rows.fetchone(),
        )
        if outcome is None:
            found.append(_without_result(each.record_id, through=root is None or closed[root]))
            continue
        told, parsed, quotes = text, None, tuple[Quote, ...]()
        if outcome == "answered" and root is not None:
            told, parsed, quotes = _read(snapshots[root], text, vector, answer)
        spent = int(input_tokens), int(output_tokens), float(usd), int(sent)
        found.append(ItemResult(record_id, outcome, told, parsed, quotes, *spent, message, code))
    return found


def answers(connection: DuckDBPyConnection, name: str, asked: Sequence[Asked], chains: Chains) -> pd.DataFrame:
    """The answered items, in their order: `record_id`, and the answer's fields in columns of their types.

    Whole numbers are `Int64` and truth values `boolean`, which can be missing; dates and times are `datetime64`, lists
    and nested models Python's lists and dicts.
    """
    import pandas as pd

    columns: dict[str, str] = {}
    for chain in chains.values():
        columns |= TaskSnapshot.model_validate_json(chain[0].snapshot).answer_columns
    columns = {column: kind for column, kind in columns.items() if type_of_column(connection, name, column)}
    rows: dict[str, list[object]] = {column: [] for column in ("record_id", *columns)}
    if columns:
        _scope(connection, asked, chains)
        fields = ", ".join(quoted(column) for column in columns)
        sql = _ANSWERS.format(table=quoted(name), fields=fields)
        for batch in connection.execute(sql).to_arrow_reader(10_000):
            for row in cast("list[dict[str, object]]", batch.to_pylist()):
                for column, values in rows.items():
                    values.append(row[column])
    return pd.DataFrame({column: _series(values, columns.get(column, "VARCHAR")) for column, values in rows.items()})


def _scope(connection: DuckDBPyConnection, asked: Sequence[Asked], chains: Chains) -> list[str | None]:
    """Tables of the items, with the job that asks each, and of the jobs' attempts, as long as a connection lasts."""
    rows = {root: rows_of(chain[0]) for root, chain in chains.items()}
    roots = [next((root for root, of_job in rows.items() if of_job.holds(each)), None) for each in asked]
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE _python_asked AS
        SELECT unnest($ids::VARCHAR[]) AS record_id, unnest($roots::VARCHAR[]) AS root,
            generate_subscripts($ids::VARCHAR[], 1) AS place
        """,
        {"ids": [each.record_id for each in asked], "roots": roots},
    )
    pairs = [(root, job.job_id, job.attempt) for root, chain in chains.items() for job in chain]
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE _python_jobs AS
        SELECT unnest(?::VARCHAR[]) AS root, unnest(?::VARCHAR[]) AS job_id, unnest(?::INTEGER[]) AS attempt
        """,
        [[root for root, _, _ in pairs], [job_id for _, job_id, _ in pairs], [attempt for _, _, attempt in pairs]],
    )
    return roots


def _without_result(record_id: str, *, through: bool) -> ItemResult:
    if not through:
        return ItemResult(record_id, "pending")
    why = "the same request was refused, or failed for good, in an earlier job: change it, or retry that job"
    return ItemResult(record_id, "failed", error=why, error_code="given_up")


def _read(
    snapshot: TaskSnapshot, text: str | None, vector: list[float] | None, answer: Answer | None
) -> tuple[str | None, object, tuple[Quote, ...]]:
    """The text, what it was parsed as, and its quotes."""
    if snapshot.embeds:
        return None, vector, ()
    if snapshot.citations and text is not None:
        cited = cast("dict[str, object]", json.loads(text))
        quotes = tuple(Quote.model_validate(each) for each in cast("list[object]", cited["citations"]))
        return str(cited["answer"]), str(cited["answer"]), quotes
    if snapshot.answer_schema is None or text is None:
        return text, text, ()
    if isclass(answer) and issubclass(answer, BaseModel):
        return text, answer.model_validate_json(text), ()
    return text, json.loads(text), ()


def _series(values: list[object], kind: str) -> pd.Series:
    import pandas as pd

    if kind == "JSON":
        values = [None if value is None else json.loads(str(value)) for value in values]
    if kind in ("DATE", "TIMESTAMPTZ"):
        return pd.Series(pd.array(values, dtype=_DTYPES[kind]))
    return pd.Series(values, dtype=_DTYPES.get(kind, "object"))


_DTYPES = {
    "BIGINT": "Int64",
    "DOUBLE": "float64",
    "BOOLEAN": "boolean",
    "VARCHAR": "str",
    "DATE": "datetime64[s]",
    "TIMESTAMPTZ": "datetime64[us, UTC]",
}

# what identical items share is divided among them; an item's newest result counts, and its tokens over all attempts
_RESULTS = """
    WITH shares AS (
        SELECT batch_id, custom_id, count(*) AS records
        FROM request_records
        WHERE job_id IN (SELECT job_id FROM _python_jobs)
        GROUP BY ALL
    ),
    found AS (
        SELECT asked.place, results.*, jobs.attempt, shares.records,
            NOT ends_with(results.batch_id, '-shared') AS was_sent
        FROM _python_asked AS asked
        JOIN _python_jobs AS jobs USING (root)
        JOIN request_records AS records ON records.job_id = jobs.job_id AND records.record_id = asked.record_id
        JOIN batch_results AS results
            ON results.batch_id = records.batch_id AND results.custom_id = records.custom_id
        JOIN shares ON shares.batch_id = results.batch_id AND shares.custom_id = results.custom_id
    ),
    spent AS (
        SELECT place, sum(input_tokens / records) AS input_tokens, sum(output_tokens / records) AS output_tokens,
            sum(cost_usd / records) AS cost_usd, count(*) FILTER (was_sent) AS sent
        FROM found
        GROUP BY place
    ),
    newest AS (
        SELECT *
        FROM found
        QUALIFY row_number() OVER (PARTITION BY place ORDER BY attempt DESC, answered_at DESC) = 1
    )
    SELECT asked.record_id, newest.outcome, newest.response_text, newest.vector, newest.error_code,
        newest.error_message, coalesce(round(spent.input_tokens), 0), coalesce(round(spent.output_tokens), 0),
        coalesce(spent.cost_usd, 0), coalesce(spent.sent, 0)
    FROM _python_asked AS asked
    LEFT JOIN newest USING (place)
    LEFT JOIN spent USING (place)
    ORDER BY asked.place
"""

_ANSWERS = """
    SELECT answers.record_id, {fields}
    FROM _python_asked AS asked
    JOIN _python_jobs AS jobs USING (root)
    JOIN {table} AS answers ON answers.job_id = jobs.job_id AND answers.record_id = asked.record_id
    QUALIFY row_number() OVER (PARTITION BY asked.place ORDER BY jobs.attempt DESC, answers.answered_at DESC) = 1
    ORDER BY asked.place
"""
