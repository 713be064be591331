"""What a setup answered about records, how the others ended, and what that cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.evaluation.fields import Field, Labels
from batch_pipeline.evaluation.store import Setup
from batch_pipeline.ledger.rows import chunked
from batch_pipeline.ledger.tables import jobs
from batch_pipeline.warehouse.answers import type_of_column
from batch_pipeline.warehouse.names import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Request = tuple[str, str]
"""Job and custom_id."""

NOTHING = "pending"
"""The outcome of a record of which nothing came, or that was not asked about."""


@dataclass(frozen=True)
class Given:
    """What a setup gave for one record: labels and `answered`, or no labels and how it ended.

    `costs` are the requests that it took, those that failed before included: records that share one share its cost.
    """

    labels: Labels | None
    outcome: str
    costs: Mapping[Request, float]


def given_by(pipeline: Pipeline, task: str, field: Field, setup: Setup, record_ids: Iterable[str]) -> dict[str, Given]:
    """What the setup gave for each of these records: its newest answer, else how the newest request ended."""
    wanted = list(record_ids)
    with pipeline.warehouse.read() as connection:
        answers = _answers(connection, task, field.name, setup, wanted)
        results = _results(connection, task, wanted)
        bought = _costs(connection, [answer.reused_from for answer in answers.values() if answer.reused_from])
    roots = _roots(pipeline, setup, {result.request[0] for found in results.values() for result in found})
    return {
        record_id: _given(field, answers.get(record_id), results.get(record_id, []), roots, bought)
        for record_id in wanted
    }


def cost_of(given: Iterable[Given]) -> float:
    """USD; a request that several records share counts once."""
    paid: dict[Request, float] = {}
    for one in given:
        paid |= one.costs
    return sum(paid.values())


@dataclass(frozen=True)
class _Answer:
    value: object
    request: Request
    reused_from: Request | None


@dataclass(frozen=True)
class _Result:
    request: Request
    outcome: str
    cost_usd: float


def _given(
    field: Field,
    answer: _Answer | None,
    results: Sequence[_Result],
    roots: Mapping[str, str],
    bought: Mapping[Request, float],
) -> Given:
    ours = [result for result in results if result.request[0] in roots]
    last = answer.request[0] if answer else ours[-1].request[0] if ours else ""
    root = roots.get(last, last)
    costs = {each.request: each.cost_usd for each in results if roots.get(each.request[0], each.request[0]) == root}
    if answer is None:
        return Given(None, ours[-1].outcome if ours else NOTHING, costs)
    if answer.reused_from:
        costs[answer.reused_from] = bought.get(answer.reused_from, 0.0)
    return Given(field.answered(answer.value), "answered", costs)


def _answers(
    connection: DuckDBPyConnection, task: str, field: str, setup: Setup, record_ids: list[str]
) -> dict[str, _Answer]:
    if type_of_column(connection, task, field) is None:
        return {}
    sql = _ANSWERS.format(field=quoted(field), table=quoted(task))
    rows = connection.execute(sql, {**vars(setup), "ids": record_ids}).fetchall()
    return {
        record_id: _Answer(
            None if value is None else json.loads(value),
            (job_id, custom_id),
            None if reused_from is None else _request(reused_from),
        )
        for record_id, value, job_id, custom_id, reused_from in rows
    }


def _results(connection: DuckDBPyConnection, task: str, record_ids: list[str]) -> dict[str, list[_Result]]:
    """How every request about each record ended, the newest last."""
    found: dict[str, list[_Result]] = {}
    for record_id, job_id, custom_id, outcome, cost in connection.execute(_RESULTS, [task, record_ids]).fetchall():
        found.setdefault(record_id, []).append(_Result((job_id, custom_id), outcome, cost))
    return found


def _costs(connection: DuckDBPyConnection, requests: Sequence[Request]) -> dict[Request, float]:
    rows = connection.execute(_COSTS, [["/".join(request) for request in requests]]).fetchall()
    return {(job_id, custom_id): cost for job_id, custom_id, cost in rows}


def _roots(pipeline: Pipeline, setup: Setup, job_ids: Iterable[str]) -> dict[str, str]:
    """Those of the jobs that asked with this setup: job to the job that it is an attempt of."""
    found: dict[str, str] = {}
    with pipeline.ledger.read() as db:
        for chunk in chunked(sorted(job_ids)):
            wanted = select(jobs.c.job_id, jobs.c.root_job_id, jobs.c.snapshot).where(
                jobs.c.job_id.in_(chunk), jobs.c.provider == setup.provider, jobs.c.model == setup.model
            )
            for job_id, root, snapshot in db.execute(wanted):
                kept = json.loads(snapshot)
                if (kept["prompt_version"], kept["variant"]) == (setup.prompt_version, setup.variant):
                    found[job_id] = root
    return found


def _request(told: str) -> Request:
    job_id, _, custom_id = told.partition("/")
    return job_id, custom_id


_ANSWERS = """
SELECT record_id, to_json({field}), job_id, custom_id, reused_from
FROM {table}
WHERE provider = $provider AND model = $model AND prompt_version = $prompt_version
    AND variant IS NOT DISTINCT FROM $variant AND record_id IN (SELECT unnest($ids))
QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY answered_at DESC, job_id DESC) = 1
"""

_RESULTS = """
SELECT records.record_id, results.job_id, results.custom_id, results.outcome, results.cost_usd
FROM request_records AS records
JOIN batch_results AS results USING (batch_id, custom_id)
WHERE results.task = ? AND records.record_id IN (SELECT unnest(?))
ORDER BY results.answered_at, results.job_id
"""

_COSTS = """
SELECT job_id, custom_id, sum(cost_usd)
FROM batch_results
WHERE job_id || '/' || custom_id IN (SELECT unnest(?))
GROUP BY ALL
"""
