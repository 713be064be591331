"""What was bought before, by fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ANSWERED = """
    SELECT DISTINCT requests.fingerprint
    FROM batch_requests AS requests
    JOIN batch_results AS results USING (batch_id, custom_id)
    WHERE results.outcome = 'answered'
      AND requests.fingerprint IN (SELECT unnest($fingerprints))
"""

_TRIES = """
    SELECT requests.fingerprint, count(*) AS tries
    FROM batch_requests AS requests
    JOIN batch_results AS results USING (batch_id, custom_id)
    WHERE requests.fingerprint IN (SELECT unnest($fingerprints))
      AND results.outcome <> 'cancelled'
    GROUP BY requests.fingerprint
"""


def answered(connection: DuckDBPyConnection, fingerprints: Sequence[str]) -> set[str]:
    """Those of the fingerprints that have an answer, in whatever job."""
    rows = connection.execute(_ANSWERED, {"fingerprints": list(fingerprints)}).fetchall()
    return {str(fingerprint) for (fingerprint,) in rows}


def tries(connection: DuckDBPyConnection, fingerprints: Sequence[str]) -> dict[str, int]:
    """How often each was sent, over all jobs; a cancelled one was not."""
    rows = connection.execute(_TRIES, {"fingerprints": list(fingerprints)}).fetchall()
    return {str(fingerprint): int(count) for fingerprint, count in rows}
