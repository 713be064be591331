"""Records whose newest result is no answer, over all jobs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Asked:
    """A job that asked, or an attempt of it: what its results are to be taken for.

    `through`: nothing of it goes again by itself.
    """

    job_id: str
    root_job_id: str
    variant: str | None
    through: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A record without an answer: how it ended last, in which job, and what was asked.

    `fingerprint` is None for what was never sent.
    """

    task: str
    record_id: str
    variant: str | None
    root_job_id: str
    outcome: str
    code: str
    fingerprint: str | None


def failures(
    connection: DuckDBPyConnection,
    asked: Sequence[Asked],
    outcomes: Collection[str],
    *,
    task: str | None = None,
    code: str | None = None,
    since: float | None = None,
) -> list[Failure]:
    """Each record, or part of one, whose newest result has one of these outcomes, in a job that is through.

    Args:
        connection: Of `Warehouse.read()`.
        asked: The jobs that count, with their attempts.
        outcomes: Those of a failure.
        task: Of this task only.
        code: With this error code or outcome only.
        since: That ended no earlier (unix seconds).
    """
    values: dict[str, object] = {
        "jobs": [each.job_id for each in asked],
        "roots": [each.root_job_id for each in asked],
        "variants": [each.variant for each in asked],
        "through": [each.through for each in asked],
        "outcomes": list(outcomes),
        "task": task,
        "code": code,
        "since": since,
    }
    return [Failure(*row) for row in connection.execute(_FAILURES, values).fetchall()]


_FAILURES = """
    WITH asked AS (
        SELECT unnest($jobs::VARCHAR[]) AS job_id, unnest($roots::VARCHAR[]) AS root_job_id,
            unnest($variants::VARCHAR[]) AS variant, unnest($through::BOOLEAN[]) AS through
    ),
    newest AS (
        SELECT results.task, records.record_id, asked.variant, asked.root_job_id, asked.through, results.outcome,
            coalesce(results.error_code, results.outcome) AS code, requests.fingerprint, results.answered_at
        FROM batch_results AS results
        JOIN asked USING (job_id)
        JOIN request_records AS records ON records.batch_id = results.batch_id
            AND records.custom_id = results.custom_id
        LEFT JOIN batch_requests AS requests ON requests.batch_id = results.batch_id
            AND requests.custom_id = results.custom_id
        WHERE results.task = coalesce($task, results.task)
        QUALIFY row_number() OVER (
            PARTITION BY results.task, records.record_id, records.part, asked.variant
            ORDER BY results.answered_at DESC, results.rowid DESC  -- providers give whole seconds: what was stored last
        ) = 1
    )
    SELECT task, record_id, variant, root_job_id, outcome, code, fingerprint
    FROM newest
    WHERE through
        AND outcome IN (SELECT unnest($outcomes))
        AND ($code IS NULL OR $code IN (code, outcome))
        AND ($since IS NULL OR answered_at >= to_timestamp($since::DOUBLE))
    ORDER BY task, record_id
"""
