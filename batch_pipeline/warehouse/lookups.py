"""What was bought before, by fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# a list of 10,000 as one JSON text: as a list, DuckDB takes ten times as long to look at each of its values; and what
# was asked is found before the results are joined, which else are hashed whole
_ANSWERED = """
    WITH asked AS MATERIALIZED (
        SELECT batch_id, custom_id, fingerprint
        FROM batch_requests
        WHERE fingerprint IN (SELECT unnest(from_json($fingerprints, '["VARCHAR"]')))
    )
    SELECT DISTINCT asked.fingerprint
    FROM asked
    JOIN batch_results AS results USING (batch_id, custom_id)
    WHERE results.outcome = 'answered'
"""

_TRIES = """
    SELECT requests.fingerprint, count(*) AS tries
    FROM batch_requests AS requests
    JOIN batch_results AS results USING (batch_id, custom_id)
    WHERE requests.fingerprint IN (SELECT unnest(from_json($fingerprints, '["VARCHAR"]')))
      AND results.outcome <> 'cancelled'
      AND results.error_code IS DISTINCT FROM 'token_limit_exceeded'
    GROUP BY requests.fingerprint
"""


def answered(connection: DuckDBPyConnection, fingerprints: Sequence[str]) -> set[str]:
    """Those of the fingerprints that have an answer, in whatever job."""
    # of a first job nothing is to be found, and its fingerprints need not be listed for it: 0.04 s for 50,000
    if connection.execute("SELECT 1 FROM batch_requests LIMIT 1").fetchone() is None:
        return set()
    rows = connection.execute(_ANSWERED, {"fingerprints": orjson.dumps(list(fingerprints)).decode()}).fetchall()
    return {str(fingerprint) for (fingerprint,) in rows}


def tries(connection: DuckDBPyConnection, fingerprints: Sequence[str]) -> dict[str, int]:
    """How often each was sent, over all jobs; not counted: cancelled, or in a batch larger than the queue."""
    rows = connection.execute(_TRIES, {"fingerprints": orjson.dumps(list(fingerprints)).decode()}).fetchall()
    return {str(fingerprint): int(count) for fingerprint, count in rows}


_OPEN = """
    WITH open AS (
        SELECT records.fingerprint, records.custom_id, results.outcome,
            coalesce(results.error_message, results.error_code, results.outcome) AS reason,
            coalesce(requests.input_tokens, 0) AS input_tokens,
            {'record_id': records.record_id, 'repo': records.repo, 'night': records.night,
             'content_hash': records.content_hash, 'part': records.part} AS record
        FROM batch_results AS results
        JOIN read_parquet($records) AS records USING (custom_id)
        LEFT JOIN batch_requests AS requests
            ON requests.batch_id = results.batch_id AND requests.custom_id = results.custom_id
        WHERE results.job_id = $job_id
          AND results.outcome IN (SELECT unnest($outcomes))
          AND records.share <> 'unsendable'
    )
    SELECT fingerprint, min(custom_id), any_value(outcome), any_value(reason), max(input_tokens), list(record)
    FROM open
    GROUP BY fingerprint
"""


OpenRecord = tuple[str, str | None, date | None, str, int]
"""A record of such a request: its id, repository, night and content hash, and which part of it."""


@dataclass(frozen=True)
class Open:
    """A request that has no answer: how it ended, and the records that it would have answered."""

    custom_id: str
    outcome: str
    reason: str
    input_tokens: int
    records: tuple[OpenRecord, ...]


def open_requests(
    connection: DuckDBPyConnection, job_id: str, records: Path, outcomes: Iterable[str]
) -> dict[str, Open]:
    """The job's requests with one of these outcomes, by fingerprint."""
    values = {"job_id": job_id, "records": str(records), "outcomes": list(outcomes)}
    rows = connection.execute(_OPEN, values).fetchall()
    return {
        str(fingerprint): Open(
            str(custom_id),
            str(outcome),
            str(reason),
            int(tokens),
            tuple((row["record_id"], row["repo"], row["night"], row["content_hash"], row["part"]) for row in found),
        )
        for fingerprint, custom_id, outcome, reason, tokens, found in rows
    }
