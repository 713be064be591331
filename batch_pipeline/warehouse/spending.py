"""What the answers cost, a row a batch and repository: tokens and money, as the warehouse's rows have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_pipeline.warehouse.figures import Tokens

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Portion:
    """What one repository's records had of one batch; those of the same request have equal shares of it.

    `batch_id` is that of no batch where answers were bought before. `repo` is None for what is no issue.
    """

    job_id: str
    batch_id: str
    repo: str | None
    records: int
    answered: int
    requests: float
    cost_usd: float
    tokens: Tokens


def portions(connection: DuckDBPyConnection, thresholds: Mapping[str, int | None]) -> list[Portion]:
    """The portions of these jobs' batches; a batch has two rows a repository where some requests were long.

    Args:
        connection: Of `Warehouse.read()`.
        thresholds: By job id, the input tokens of a request above which its price is another one.
    """
    connection.execute(_WANTED, [list(thresholds), list(thresholds.values())])
    found: list[Portion] = []
    for job_id, batch_id, repo, records, answered, requests, cost_usd, *tokens in connection.execute(
        _PORTIONS
    ).fetchall():
        found.append(Portion(job_id, batch_id, repo, records, answered, requests, cost_usd, Tokens(*tokens)))
    return found


_WANTED = """
    CREATE OR REPLACE TEMP TABLE wanted AS
    SELECT unnest(?::VARCHAR[]) AS job_id, unnest(?::BIGINT[]) AS threshold
"""

_PORTIONS = """
    WITH repos AS (
        SELECT record_id, any_value(repo) AS repo FROM issue_versions GROUP BY record_id
    ),
    shares AS (
        SELECT batch_id, custom_id, 1.0::DOUBLE / count(*) AS share FROM request_records GROUP BY ALL
    )
    SELECT
        results.job_id,
        results.batch_id,
        repos.repo,
        count(*) AS records,
        count(*) FILTER (results.outcome = 'answered') AS answered,
        sum(share)::DOUBLE AS requests,
        coalesce(sum(share * cost_usd), 0)::DOUBLE AS cost_usd,
        coalesce(round(sum(share * input_tokens)), 0)::BIGINT,
        coalesce(round(sum(share * cached_tokens)), 0)::BIGINT,
        coalesce(round(sum(share * cache_write_tokens)), 0)::BIGINT,
        coalesce(round(sum(share * output_tokens)), 0)::BIGINT,
        coalesce(round(sum(share * reasoning_tokens)), 0)::BIGINT,
        coalesce(input_tokens > wanted.threshold, false) AS long
    FROM batch_results AS results
    JOIN wanted USING (job_id)
    JOIN request_records AS records USING (batch_id, custom_id)
    JOIN shares USING (batch_id, custom_id)
    LEFT JOIN repos ON repos.record_id = records.record_id
    GROUP BY ALL
    ORDER BY results.job_id, results.batch_id, repos.repo, long
"""
