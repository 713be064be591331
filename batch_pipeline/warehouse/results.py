"""Writes what a batch came to: its requests, its records, their results, and the typed answers.

By batch, in one transaction: what the batch has there already is replaced, so doing it twice is doing it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from batch_pipeline.warehouse.answers import make_table, parsed, parsed_members
from batch_pipeline.warehouse.names import quoted
from batch_pipeline.warehouse.neighbours import make_duplicates_view

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

Counts = dict[str, int]
AnswerKind = Literal["text", "object", "embedding"]
"""What an answer's text is: text, a JSON object of the answer's fields, or none, since it is a vector."""

# tables that last as long as a connection begin with `_`, as no task's name does: each hides a task's table of its name
_ROWS = """
    CREATE OR REPLACE TEMP TABLE _collected_rows (
        custom_id VARCHAR, place BIGINT, outcome VARCHAR, http_status INTEGER, error_code VARCHAR,
        error_message VARCHAR, input_tokens BIGINT, cached_tokens BIGINT, cache_write_tokens BIGINT,
        output_tokens BIGINT, reasoning_tokens BIGINT, cost_usd DOUBLE, response_text VARCHAR, vector FLOAT[]
    )
"""

_REQUESTS = """
    INSERT INTO batch_requests BY NAME
    SELECT custom_id, $job_id AS job_id, $batch_id AS batch_id, $task AS task, fingerprint, input_tokens,
        $attempt AS attempt
    FROM read_parquet($requests)
    WHERE batch = $number
"""

_RECORDS = """
    INSERT INTO request_records BY NAME
    SELECT $job_id AS job_id, $batch_id AS batch_id, records.custom_id, records.record_id,
        records.part, requests.position, records.content_hash
    FROM read_parquet($records) AS records
    JOIN (FROM read_parquet($requests) WHERE batch = $number) AS requests USING (custom_id)
    WHERE records.share = 'sent'
"""

# the first 2xx of a doubled row counts
_FIRST_ROWS = """
        SELECT *
        FROM _collected_rows
        QUALIFY row_number() OVER (
            PARTITION BY custom_id
            ORDER BY coalesce(http_status BETWEEN 200 AND 299, false) DESC, place
        ) = 1
"""

# a request that is in no row gets the outcome of what is absent
_RESULTS = """
    INSERT INTO batch_results BY NAME
    WITH first_rows AS ({first_rows})
    SELECT requests.custom_id, $job_id AS job_id, $batch_id AS batch_id, $task AS task,
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
        found.vector,
        to_timestamp($answered_at) AS answered_at
    FROM read_parquet($requests) AS requests
    LEFT JOIN first_rows AS found USING (custom_id)
    WHERE requests.batch = $number
"""

_ANSWERS = """
    INSERT INTO {table} BY NAME
    SELECT records.record_id, records.repo, records.night, {fields},
        $provider AS provider, $model AS model, $prompt_version AS prompt_version, $variant AS variant,
        records.content_hash, $job_id AS job_id, $batch_id AS batch_id, records.custom_id,
        NULL AS reused_from, results.answered_at
    FROM batch_results AS results
    JOIN read_parquet($records) AS records ON records.custom_id = results.custom_id AND records.share = 'sent'
    WHERE results.batch_id = $batch_id AND results.outcome = 'answered'
"""

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
        SELECT DISTINCT record_id, repo, night FROM read_parquet($records)
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

_OUTCOMES = """
    SELECT results.outcome, count(DISTINCT results.custom_id) AS requests, count(records.record_id) AS records
    FROM batch_results AS results
    LEFT JOIN request_records AS records USING (batch_id, custom_id)
    WHERE results.batch_id = $batch_id
    GROUP BY results.outcome
"""

_ENDS = """
    SELECT requests.fingerprint, results.outcome, coalesce(results.error_message, results.error_code)
    FROM batch_requests AS requests
    JOIN batch_results AS results USING (batch_id, custom_id)
    WHERE results.batch_id = $batch_id AND results.outcome <> 'answered'
"""

# one text: a row for each would take ten times as long to come over
_ANSWERED = """
    SELECT string_agg(requests.fingerprint, ' ')
    FROM batch_requests AS requests
    JOIN batch_results AS results USING (batch_id, custom_id)
    WHERE results.batch_id = $batch_id AND results.outcome = 'answered'
"""

_NEVER_SENT = """
    SELECT fingerprint, outcome, error_message FROM _handed_over WHERE share = 'unsendable'
"""

_STRAY = """
    SELECT count(*) FILTER (requests.custom_id IS NULL),
        count(*) FILTER (requests.custom_id IS NOT NULL)
            - count(DISTINCT rows.custom_id) FILTER (requests.custom_id IS NOT NULL)
    FROM _collected_rows AS rows
    LEFT JOIN (FROM read_parquet($requests) WHERE batch = $number) AS requests USING (custom_id)
"""


@dataclass(frozen=True)
class Written:
    """What a batch is, to be stored: which job's, how its task is kept, and where its plan lies."""

    job_id: str
    root_job_id: str
    batch_id: str
    number: int
    attempt: int
    task: str
    provider: str
    model: str
    prompt_version: str
    variant: str | None
    answer_columns: Mapping[str, str]
    answer_kind: AnswerKind
    part_columns: Mapping[str, str] | None
    """Of an answer in parts, the columns of one part."""
    requests: Path
    records: Path
    answered_at: float


@dataclass(frozen=True)
class Absent:
    """What becomes of requests that are in no row."""

    outcome: str
    code: str
    message: str


@dataclass(frozen=True)
class Stored:
    """What was stored: requests and records by outcome, and rows that belong to nobody."""

    requests: Counts
    records: Counts
    answered: Sequence[str]
    """Fingerprints that have an answer."""
    ends: Mapping[str, tuple[str, str | None]]
    """How each other fingerprint ended, and why."""
    cost_usd: float
    foreign: int = 0
    doubled: int = 0


def store_batch(connection: DuckDBPyConnection, batch: Written, rows: Iterable[pa.Table], absent: Absent) -> Stored:
    """Stores a batch, from the rows of its files; to be called in a transaction.

    Args:
        connection: Of `Warehouse.write()`.
        batch: What it is.
        rows: Judged rows in chunks, with the columns of `_collected_rows`.
        absent: What becomes of requests that are in no row.
    """
    _forget(connection, batch)
    connection.execute(_ROWS)
    for chunk in rows:
        connection.register("chunk", chunk)
        connection.execute("INSERT INTO _collected_rows BY NAME SELECT * FROM chunk")
        connection.unregister("chunk")
    _run(connection, _REQUESTS, batch)
    _run(connection, _RECORDS, batch)
    said = {"absent": absent.outcome, "absent_code": absent.code, "absent_message": absent.message}
    foreign, doubled = _run(connection, _STRAY, batch).fetchall()[0]
    first_rows = _FIRST_ROWS if doubled else "FROM _collected_rows"
    _run(connection, _RESULTS.format(first_rows=first_rows), batch, **said)
    _write_answers(connection, _ANSWERS, batch)
    return _stored(connection, batch, foreign=int(foreign), doubled=int(doubled))


def store_shared(connection: DuckDBPyConnection, batch: Written) -> Stored:
    """Stores what no batch of a job answers, under a batch id of its own; to be called in a transaction."""
    _forget(connection, batch)
    _run(connection, _SHARED, batch)
    _run(connection, _SHARED_RECORDS, batch)
    _run(connection, _SHARED_RESULTS, batch)
    _write_answers(connection, _SHARED_ANSWERS, batch)
    never_sent = _run(connection, _NEVER_SENT, batch).fetchall()
    stored = _stored(connection, batch)
    return replace(
        stored, answered=(), ends={str(fingerprint): (str(outcome), why) for fingerprint, outcome, why in never_sent}
    )


def inputs_at_lines(connection: DuckDBPyConnection, batch: Written, lines: list[int]) -> list[tuple[int, str]]:
    """What is asked at these lines (from 1) of the batch's file: line and custom_id of each input."""
    sql = (
        "SELECT line, custom_id FROM read_parquet($requests) WHERE batch = $number AND line IN (SELECT unnest($lines))"
    )
    return [(int(line), str(name)) for line, name in _run(connection, sql, batch, lines=lines).fetchall()]


def _forget(connection: DuckDBPyConnection, batch: Written) -> None:
    make_table(connection, batch.task, batch.answer_columns)
    for table in ("batch_requests", "request_records", "batch_results", batch.task):
        connection.execute(f"DELETE FROM {quoted(table)} WHERE batch_id = ?", [batch.batch_id])  # noqa: S608 - quoted


def _write_answers(connection: DuckDBPyConnection, sql: str, batch: Written) -> None:
    table, text = quoted(batch.task), "results.response_text"
    if batch.part_columns is not None:
        text = "answered.response_text"
        is_text = batch.answer_kind == "text"
        fields = f"'text': {text}" if is_text else parsed_members(batch.part_columns, text)
        _run(connection, _TOUCHED, batch)
        _run(connection, _FORGET_TOUCHED.format(table=table), batch)
        _run(connection, _PARTS.format(table=table, fields=fields), batch)
        return
    fields = {
        "text": f"{text} AS text",
        "embedding": "results.vector AS embedding",
        "object": parsed(batch.answer_columns, text),
    }[batch.answer_kind]
    _run(connection, sql.format(table=table, fields=fields), batch)
    if batch.answer_kind == "embedding":
        make_duplicates_view(connection, batch.task, batch.model)


def _run(connection: DuckDBPyConnection, sql: str, batch: Written, **more: object) -> DuckDBPyConnection:
    values: dict[str, object] = {**vars(batch), "requests": str(batch.requests), "records": str(batch.records), **more}
    return connection.execute(sql, {name: value for name, value in values.items() if f"${name}" in sql})


def _stored(connection: DuckDBPyConnection, batch: Written, foreign: int = 0, doubled: int = 0) -> Stored:
    counted = _run(connection, _OUTCOMES, batch).fetchall()
    ends = _run(connection, _ENDS, batch).fetchall()
    ((answered,),) = _run(connection, _ANSWERED, batch).fetchall()
    cost = connection.execute("SELECT sum(cost_usd) FROM batch_results WHERE batch_id = ?", [batch.batch_id]).fetchall()
    return Stored(
        requests={str(outcome): int(requests) for outcome, requests, _ in counted},
        records={str(outcome): int(records) for outcome, _, records in counted},
        answered=str(answered or "").split(),
        ends={str(fingerprint): (str(outcome), why) for fingerprint, outcome, why in ends},
        cost_usd=float(cost[0][0] or 0.0),
        foreign=foreign,
        doubled=doubled,
    )
