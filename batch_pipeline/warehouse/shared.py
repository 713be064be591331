"""Writes what no batch of a job answers: what was bought before, or by another job, and what can't be sent at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_pipeline.warehouse.written import Stored, Written, run
from batch_pipeline.warehouse.written_answers import forget, write_answers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# what no batch of the job answers: the newest answer of the same fingerprint, else how it ended elsewhere
_SHARED = """
    CREATE OR REPLACE TEMP TABLE _handed_over AS
    WITH shared AS (
        FROM read_parquet($records) WHERE share <> 'sent'
    ),
    elsewhere AS (
        SELECT requests.fingerprint, results.*
        FROM batch_requests AS requests
        JOIN batch_results AS results USING (batch_id, custom_id)
        WHERE requests.fingerprint IN (SELECT fingerprint FROM shared)
        QUALIFY row_number() OVER (
            PARTITION BY requests.fingerprint
            ORDER BY results.outcome = 'answered' DESC, results.answered_at DESC, results.batch_id DESC
        ) = 1
    )
    SELECT shared.*,
        CASE
            WHEN shared.share = 'unsendable' THEN 'failed'
            WHEN elsewhere.outcome IN ('answered', 'refused', 'failed') THEN elsewhere.outcome
            ELSE 'waiting'
        END AS outcome,
        CASE WHEN shared.share = 'unsendable' THEN shared.code ELSE elsewhere.error_code END AS error_code,
        CASE WHEN shared.share = 'unsendable' THEN shared.note ELSE elsewhere.error_message END AS error_message,
        elsewhere.job_id || '/' || elsewhere.custom_id AS reused_from,
        elsewhere.response_text,
        elsewhere.vector,
        coalesce(elsewhere.answered_at, to_timestamp($answered_at)) AS answered_at
    FROM shared
    LEFT JOIN elsewhere USING (fingerprint)
"""

_SHARED_RECORDS = """
    INSERT INTO request_records BY NAME
    SELECT $job_id AS job_id, $batch_id AS batch_id, custom_id, record_id, part, 0 AS position, content_hash
    FROM _handed_over
"""

_SHARED_RESULTS = """
    INSERT INTO batch_results BY NAME
    SELECT custom_id, $job_id AS job_id, $batch_id AS batch_id, $task AS task, outcome, NULL AS http_status,
        error_code, error_message, 0 AS input_tokens, 0 AS cached_tokens, 0 AS cache_write_tokens,
        0 AS output_tokens, 0 AS reasoning_tokens, 0 AS cost_usd, response_text, vector, answered_at
    FROM _handed_over
"""

_SHARED_ANSWERS = """
    INSERT INTO {table} BY NAME
    SELECT record_id, repo, night, {fields},
        $provider AS provider, $model AS model, $prompt_version AS prompt_version, $variant AS variant,
        content_hash, $job_id AS job_id, $batch_id AS batch_id, custom_id, reused_from, answered_at
    FROM _handed_over AS results
    WHERE outcome = 'answered'
"""

_OUTCOMES = """
    SELECT outcome, count(DISTINCT custom_id), count(*) FROM _handed_over GROUP BY outcome
"""

_NEVER_SENT = """
    SELECT fingerprint, outcome, error_message FROM _handed_over WHERE share = 'unsendable'
"""


def store_shared(connection: DuckDBPyConnection, batch: Written) -> Stored:
    """Stores what no batch of a job answers, under a batch id of its own; to be called in a transaction."""
    forget(connection, batch)
    run(connection, _SHARED, batch)
    run(connection, _SHARED_RECORDS, batch)
    run(connection, _SHARED_RESULTS, batch)
    write_answers(connection, _SHARED_ANSWERS, batch, records="read_parquet($records)")
    counted = run(connection, _OUTCOMES, batch).fetchall()
    never_sent = run(connection, _NEVER_SENT, batch).fetchall()
    return Stored(
        requests={str(outcome): int(requests) for outcome, requests, _ in counted},
        records={str(outcome): int(records) for outcome, _, records in counted},
        answered=(),
        ends={str(fingerprint): (str(outcome), why) for fingerprint, outcome, why in never_sent},
        cost_usd=0.0,
    )
