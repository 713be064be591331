"""What jobs came to, as the warehouse has it: outcomes, tokens, errors and answers, a job with its attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch_pipeline.warehouse.names import quoted

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

Chains = Mapping[str, Sequence[str]]
"""Job to the job ids of it and its attempts, in order."""


@dataclass(frozen=True)
class Tokens:
    """Tokens of requests that are all on the same side of a price's threshold."""

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    long: bool = False


@dataclass(frozen=True)
class Errors:
    """Requests that ended the same way, and what was said of one of them."""

    outcome: str
    code: str
    requests: int
    example: str


@dataclass
class Figures:
    """Of one job with its attempts. `outcomes` counts records by their latest outcome."""

    outcomes: dict[str, int] = field(default_factory=dict[str, int])
    tokens: list[Tokens] = field(default_factory=list[Tokens])
    errors: list[Errors] = field(default_factory=list[Errors])


def figures(connection: DuckDBPyConnection, chains: Chains, threshold: int | None) -> dict[str, Figures]:
    """The figures of each job.

    Args:
        connection: Of `Warehouse.read()`.
        chains: The jobs.
        threshold: Input tokens of one request above which its price is another one.
    """
    found = {root: Figures() for root in chains}
    _chains(connection, chains)
    for root, outcome, records in connection.execute(_OUTCOMES).fetchall():
        found[root].outcomes[outcome] = records
    for root, *counts in connection.execute(_TOKENS, [threshold]).fetchall():
        found[root].tokens.append(Tokens(*counts))
    for root, *said in connection.execute(_ERRORS).fetchall():
        found[root].errors.append(Errors(*said))
    return found


def tokens_of_batches(connection: DuckDBPyConnection, batch_ids: Sequence[str]) -> dict[str, Tokens]:
    """The tokens of all rows of each batch; a batch without rows is not in it."""
    rows = connection.execute(_OF_BATCHES, [list(batch_ids)]).fetchall()
    return {batch_id: Tokens(*counts) for batch_id, *counts in rows}


def answers(
    connection: DuckDBPyConnection, task: str, columns: Sequence[str], chains: Chains, rows: int
) -> dict[str, pd.DataFrame]:
    """The first answers of each job: `record_id` and these columns; nothing for a task without a table."""
    if not _has_table(connection, task):
        return {}
    _chains(connection, chains)
    fields = ", ".join(quoted(name) for name in columns)
    sql = f"""
        SELECT root, record_id, {fields}
        FROM {quoted(task)} JOIN chain USING (job_id)
        QUALIFY row_number() OVER (PARTITION BY root ORDER BY record_id) <= ?
        ORDER BY root, record_id
    """  # noqa: S608 - names are quoted
    found = connection.execute(sql, [rows]).df()
    return {root: found.loc[found["root"] == root, ["record_id", *columns]] for root in chains}


def answered_records(connection: DuckDBPyConnection, task: str, chains: Chains) -> dict[str, int]:
    """Records with an answer in the task's table, by key of `chains`."""
    if not _has_table(connection, task):
        return {}
    _chains(connection, chains)
    sql = f"SELECT root, count(DISTINCT record_id) FROM {quoted(task)} JOIN chain USING (job_id) GROUP BY root"  # noqa: S608 - quoted
    return {str(root): int(count) for root, count in connection.execute(sql).fetchall()}


def _chains(connection: DuckDBPyConnection, chains: Chains) -> None:
    rows = [(root, job_id, place) for root, job_ids in chains.items() for place, job_id in enumerate(job_ids)]
    connection.execute(_CHAIN, [[row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]])


def _has_table(connection: DuckDBPyConnection, task: str) -> bool:
    return connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [task]).fetchone() is not None


_CHAIN = """
    CREATE OR REPLACE TEMP TABLE chain AS
    SELECT unnest(?::VARCHAR[]) AS root, unnest(?::VARCHAR[]) AS job_id, unnest(?::INTEGER[]) AS attempt
"""

_OUTCOMES = """
    WITH latest AS (
        SELECT chain.root, results.outcome
        FROM chain
        JOIN request_records AS records USING (job_id)
        JOIN batch_results AS results USING (batch_id, custom_id)
        QUALIFY row_number() OVER (
            PARTITION BY chain.root, records.record_id, records.part ORDER BY chain.attempt DESC
        ) = 1
    )
    SELECT root, outcome, count(*) FROM latest GROUP BY ALL ORDER BY ALL
"""

_TOKENS = """
    SELECT
        chain.root,
        sum(input_tokens)::BIGINT,
        sum(cached_tokens)::BIGINT,
        sum(cache_write_tokens)::BIGINT,
        sum(output_tokens)::BIGINT,
        sum(reasoning_tokens)::BIGINT,
        coalesce(input_tokens > ?::BIGINT, false) AS long
    FROM chain
    JOIN batch_results USING (job_id)
    GROUP BY chain.root, long
    ORDER BY ALL
"""

_OF_BATCHES = """
    SELECT
        batch_id,
        coalesce(sum(input_tokens), 0)::BIGINT,
        coalesce(sum(cached_tokens), 0)::BIGINT,
        coalesce(sum(cache_write_tokens), 0)::BIGINT,
        coalesce(sum(output_tokens), 0)::BIGINT,
        coalesce(sum(reasoning_tokens), 0)::BIGINT
    FROM batch_results
    WHERE batch_id IN (SELECT unnest(?::VARCHAR[]))
    GROUP BY batch_id
"""

_ERRORS = """
    SELECT chain.root, outcome, coalesce(error_code, outcome), count(*), coalesce(min(error_message), '')
    FROM chain
    JOIN batch_results USING (job_id)
    WHERE outcome <> 'answered'
    GROUP BY ALL
    ORDER BY chain.root, count(*) DESC, outcome
"""
