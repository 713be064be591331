"""What became of each record of a job, page by page, in the order of the records' ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch_pipeline.warehouse.answers import type_of_column
from batch_pipeline.warehouse.names import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class RecordResult:
    """One record: its latest outcome, and its answer's fields by name, or why there is none."""

    record_id: str
    outcome: str
    answer: dict[str, object] | None
    error_code: str | None
    error_message: str | None
    job_id: str
    reused_from: str | None
    answered_at: datetime | None


def results_page(
    connection: DuckDBPyConnection,
    task: str,
    fields: Sequence[str],
    job_ids: Sequence[str],
    limit: int,
    after: str | None = None,
) -> list[RecordResult]:
    """The records that come after `after`, at most so many; those that nothing came for yet are not among them.

    Args:
        connection: One that reads.
        task: The task's name.
        fields: The fields of its answer.
        job_ids: A job and its attempts, in order.
        limit: How many records at most.
        after: The last record of the page before; the beginning where there is none.
    """
    answers = _NO_ANSWERS
    if type_of_column(connection, task, "record_id") is not None:
        answer = ", ".join(f"{quoted(name)}: {quoted(name)}" for name in fields)
        answers = f"""
            SELECT record_id, to_json({{{answer}}}) AS answer, job_id, reused_from, answered_at
            FROM {quoted(task)}
            WHERE job_id IN (SELECT unnest($jobs)) AND ($after IS NULL OR record_id > $after)
            QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY answered_at DESC, job_id DESC) = 1
        """  # noqa: S608 - names are quoted
    rows = connection.execute(_PAGE.format(answers=answers), {"jobs": list(job_ids), "after": after, "limit": limit})
    return [_result(row) for row in rows.fetchall()]


def _result(row: tuple[str, str, str | None, str | None, str | None, str, str | None, datetime | None]) -> RecordResult:
    record_id, outcome, answer, code, message, job_id, reused_from, at = row
    told = None if answer is None else json.loads(answer)
    return RecordResult(
        record_id, outcome, told, code, message, job_id, reused_from, None if at is None else at.replace(tzinfo=UTC)
    )


_NO_ANSWERS = """
    SELECT NULL::VARCHAR AS record_id, NULL::JSON AS answer, NULL::VARCHAR AS job_id, NULL::VARCHAR AS reused_from,
        NULL::TIMESTAMPTZ AS answered_at
    WHERE false
"""
_PAGE = """
    WITH answers AS ({answers}),
    asked AS (
        SELECT
            records.record_id, results.outcome, results.error_code, results.error_message, records.job_id,
            results.answered_at
        FROM request_records AS records
        JOIN batch_results AS results USING (batch_id, custom_id)
        WHERE records.job_id IN (SELECT unnest($jobs)) AND ($after IS NULL OR records.record_id > $after)
        -- a record in parts is what the worst of them is
        QUALIFY row_number() OVER (
            PARTITION BY records.record_id
            ORDER BY list_position($jobs, records.job_id) DESC, results.outcome = 'answered', records.part
        ) = 1
    )
    SELECT
        coalesce(answers.record_id, asked.record_id) AS record_id,
        CASE WHEN answers.record_id IS NULL THEN asked.outcome ELSE 'answered' END,
        answers.answer,
        CASE WHEN answers.record_id IS NULL THEN asked.error_code END,
        CASE WHEN answers.record_id IS NULL THEN asked.error_message END,
        coalesce(answers.job_id, asked.job_id),
        answers.reused_from,
        timezone('UTC', coalesce(answers.answered_at, asked.answered_at))
    FROM answers
    FULL JOIN asked USING (record_id)
    ORDER BY record_id
    LIMIT $limit
"""
