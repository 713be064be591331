"""Writes what a batch came to: its requests, its records, their results, and the typed answers.

By batch, in one transaction: what the batch has there already is replaced, so doing it twice is doing it once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.warehouse.collected_rows import FIRST_ROWS
from batch_pipeline.warehouse.written import Absent, Stored, Written, run
from batch_pipeline.warehouse.written_answers import forget, write_answers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# each request of the batch with its row; one that is in no row gets the outcome of what is absent
_COLLECTED = """
    CREATE OR REPLACE TEMP TABLE _collected AS
    WITH found AS ({found})
    SELECT custom_id, requests.fingerprint, requests.position, requests.input_tokens AS counted_tokens, found.place,
        coalesce(found.outcome, $absent) AS outcome,
        found.http_status,
        CASE WHEN found.outcome IS NULL THEN $absent_code ELSE found.error_code END AS error_code,
        CASE WHEN found.outcome IS NULL THEN $absent_message ELSE found.error_message END AS error_message,
        coalesce(found.input_tokens, 0) AS input_tokens,
        coalesce(found.cached_tokens, 0) AS cached_tokens,
        coalesce(found.cache_write_tokens, 0) AS cache_write_tokens,
        coalesce(found.output_tokens, 0) AS output_tokens,
        coalesce(found.reasoning_tokens, 0) AS reasoning_tokens,
        coalesce(found.cost_usd, 0) AS cost_usd,
        found.response_text,
        found.vector
    FROM read_parquet($requests) AS requests
    LEFT JOIN found USING (custom_id)
    WHERE requests.batch = $number
"""

_STRAY = """
    SELECT (SELECT count(*) FROM _collected_rows) - count(place),
        count(*) - (SELECT count(*) FROM read_parquet($requests) WHERE batch = $number)
    FROM _collected
"""

_REQUESTS = """
    INSERT INTO batch_requests BY NAME
    SELECT custom_id, $job_id AS job_id, $batch_id AS batch_id, $task AS task, fingerprint,
        counted_tokens AS input_tokens, $attempt AS attempt
    FROM _collected
"""

_RESULTS = """
    INSERT INTO batch_results BY NAME
    SELECT * EXCLUDE (fingerprint, position, counted_tokens, place), $job_id AS job_id, $batch_id AS batch_id,
        $task AS task, to_timestamp($answered_at) AS answered_at
    FROM _collected
"""

_RECORDS = """
    INSERT INTO request_records BY NAME
    SELECT $job_id AS job_id, $batch_id AS batch_id, custom_id, records.record_id, records.part, results.position,
        records.content_hash
    FROM {records} AS records
    JOIN _collected AS results USING (custom_id)
"""

_ANSWERS = """
    INSERT INTO {table} BY NAME
    SELECT records.record_id, records.repo, records.night, {fields},
        $provider AS provider, $model AS model, $prompt_version AS prompt_version, $variant AS variant,
        records.content_hash, $job_id AS job_id, $batch_id AS batch_id, custom_id,
        NULL AS reused_from, to_timestamp($answered_at) AS answered_at
    FROM {records} AS records
    JOIN _collected AS results USING (custom_id)
    WHERE results.outcome = 'answered'
"""

_REQUEST_OUTCOMES = """
    SELECT outcome, count(*), sum(cost_usd) FROM _collected GROUP BY outcome
"""

_RECORD_OUTCOMES = """
    SELECT results.outcome, count(*)
    FROM {records} AS records
    JOIN _collected AS results USING (custom_id)
    GROUP BY results.outcome
"""

_ENDS = """
    SELECT fingerprint, outcome, coalesce(error_message, error_code) FROM _collected WHERE outcome <> 'answered'
"""

# one text: a row for each would take ten times as long to come over
_ANSWERED = """
    SELECT string_agg(fingerprint, ' ') FROM _collected WHERE outcome = 'answered'
"""

_LINES = """
    SELECT line, custom_id
    FROM read_parquet($requests)
    WHERE batch = $number AND line IN (SELECT unnest($lines))
"""


def store_batch(connection: DuckDBPyConnection, batch: Written, absent: Absent) -> Stored:
    """Stores a batch, from its judged rows in `_collected_rows`; to be called in a transaction.

    Args:
        connection: Of `Warehouse.write()`.
        batch: What it is.
        absent: What becomes of requests that are in no row.
    """
    forget(connection, batch)
    foreign, doubled = _put_together(connection, batch, absent)
    records = _records_of(connection, batch.records)
    run(connection, _REQUESTS, batch)
    run(connection, _RESULTS, batch)
    run(connection, _RECORDS.format(records=records), batch)
    write_answers(connection, _ANSWERS, batch, records)
    requests = connection.execute(_REQUEST_OUTCOMES).fetchall()
    counted = run(connection, _RECORD_OUTCOMES.format(records=records), batch).fetchall()
    ends = connection.execute(_ENDS).fetchall()
    ((answered,),) = connection.execute(_ANSWERED).fetchall()
    return Stored(
        requests={str(outcome): int(count) for outcome, count, _ in requests},
        records={str(outcome): 0 for outcome, *_ in requests}
        | {str(outcome): int(count) for outcome, count in counted},
        answered=str(answered or "").split(),
        ends={str(fingerprint): (str(outcome), why) for fingerprint, outcome, why in ends},
        cost_usd=sum(float(cost) for *_, cost in requests),
        foreign=foreign,
        doubled=doubled,
    )


def inputs_at_lines(connection: DuckDBPyConnection, batch: Written, lines: list[int]) -> list[tuple[int, str]]:
    """What is asked at these lines (from 1) of the batch's file: line and custom_id of each input."""
    return [(int(line), str(name)) for line, name in run(connection, _LINES, batch, lines=lines).fetchall()]


def _put_together(connection: DuckDBPyConnection, batch: Written, absent: Absent) -> tuple[int, int]:
    """Makes `_collected`; how many rows were nobody's, and how many came twice."""
    said = {"absent": absent.outcome, "absent_code": absent.code, "absent_message": absent.message}
    run(connection, _COLLECTED.format(found="FROM _collected_rows"), batch, **said)
    ((foreign, doubled),) = run(connection, _STRAY, batch).fetchall()
    if doubled:
        run(connection, _COLLECTED.format(found=FIRST_ROWS), batch, **said)
    connection.execute("DROP TABLE _collected_rows")  # embeddings are large
    return int(foreign), int(doubled)


def _records_of(connection: DuckDBPyConnection, records: Path) -> str:
    """SQL of the records that the batch's requests answer; a plan of before has no `batch`, and all of it is read."""
    named = connection.execute("SELECT 1 FROM parquet_schema(?) WHERE name = 'batch'", [str(records)]).fetchall()
    return f"(FROM read_parquet($records) WHERE share = 'sent'{' AND batch = $number' if named else ''})"
