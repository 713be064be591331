"""Writes a batch's answers into the task's table, in place of those that it has there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_pipeline.warehouse.answers import make_table, parsed, parsed_members
from batch_pipeline.warehouse.names import quoted
from batch_pipeline.warehouse.neighbours import make_duplicates_view
from batch_pipeline.warehouse.written import Written, run

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# a record in parts has one row, of all of its parts that this job and its attempts have answered so far
_TOUCHED = """
    CREATE OR REPLACE TEMP TABLE _touched AS
    SELECT DISTINCT record_id FROM request_records WHERE batch_id = $batch_id
"""

_FORGET_TOUCHED = """
    DELETE FROM {table}
    WHERE record_id IN (FROM _touched) AND (job_id = $root_job_id OR starts_with(job_id, $root_job_id || '-again'))
"""

_PARTS = """
    INSERT INTO {table} BY NAME
    WITH answered AS (
        SELECT records.record_id, records.part, records.content_hash, results.custom_id, results.response_text,
            results.answered_at
        FROM request_records AS records
        SEMI JOIN _touched USING (record_id)
        JOIN batch_results AS results USING (batch_id, custom_id)
        WHERE (results.job_id = $root_job_id OR starts_with(results.job_id, $root_job_id || '-again'))
            AND results.outcome = 'answered'
        QUALIFY row_number() OVER (PARTITION BY record_id, part ORDER BY results.answered_at DESC) = 1
    ),
    places AS (
        SELECT DISTINCT record_id, repo, night FROM {records}
    )
    SELECT answered.record_id, any_value(places.repo) AS repo, any_value(places.night) AS night,
        list({{'part': part, {fields}}} ORDER BY part) AS answers,
        $provider AS provider, $model AS model, $prompt_version AS prompt_version, $variant AS variant,
        any_value(answered.content_hash) AS content_hash, $job_id AS job_id, $batch_id AS batch_id,
        first(answered.custom_id ORDER BY part) AS custom_id, NULL AS reused_from,
        max(answered.answered_at) AS answered_at
    FROM answered
    JOIN places USING (record_id)
    GROUP BY answered.record_id
"""


def forget(connection: DuckDBPyConnection, batch: Written) -> None:
    """Removes what the batch has stored; the task's table is made, or widened, where it must be."""
    make_table(connection, batch.task, batch.answer_columns)
    for table in ("batch_requests", "request_records", "batch_results", batch.task):
        connection.execute(f"DELETE FROM {quoted(table)} WHERE batch_id = ?", [batch.batch_id])  # noqa: S608 - quoted


def write_answers(connection: DuckDBPyConnection, sql: str, batch: Written, records: str) -> None:
    """Writes the batch's answers.

    Args:
        connection: Of `Warehouse.write()`.
        sql: An INSERT of what `results` answered, with `{table}`, `{fields}` and `{records}` to be put in.
        batch: What it is.
        records: SQL of the rows of `records.parquet` that may be the batch's.
    """
    table, text = quoted(batch.task), "results.response_text"
    if batch.part_columns is not None:
        text = "answered.response_text"
        is_text = batch.answer_kind == "text"
        fields = f"'text': {text}" if is_text else parsed_members(batch.part_columns, text)
        run(connection, _TOUCHED, batch)
        run(connection, _FORGET_TOUCHED.format(table=table), batch)
        run(connection, _PARTS.format(table=table, fields=fields, records=records), batch)
        return
    fields = {
        "text": f"{text} AS text",
        "embedding": "results.vector AS embedding",
        "object": parsed(batch.answer_columns, text),
    }[batch.answer_kind]
    run(connection, sql.format(table=table, fields=fields, records=records), batch)
    if batch.answer_kind == "embedding":
        make_duplicates_view(connection, batch.task, batch.model)
