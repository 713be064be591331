"""What an evaluation keeps: gold answers, what was asked about them, and every score. Tables of step 0005."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, cast

from batch_pipeline.evaluation.fields import Labels

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Setup:
    """Who answers, and what is asked: what scores are told apart by."""

    provider: str
    model: str
    prompt_version: str
    variant: str | None = None

    @property
    def told(self) -> str:
        """In words."""
        return f"{self.model} at {self.provider}, prompt {self.prompt_version}" + (
            f", variant {self.variant}" if self.variant else ""
        )


@dataclass(frozen=True)
class GoldSet:
    """Gold answers of one field, by record; what is scored, and can be scored again."""

    task: str
    field: str
    rows: Mapping[str, Labels]

    @cached_property
    def gold_hash(self) -> str:
        """Twelve characters of its content: scores with the same ones are of the same rows."""
        content = [self.task, self.field, sorted((record_id, list(labels)) for record_id, labels in self.rows.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Run:
    """A setup that was asked about a gold set; `job_id` is the newest job that was needed for it, if any was."""

    task: str
    field: str
    gold_hash: str
    setup: Setup
    job_id: str | None


@dataclass(frozen=True)
class Score:
    """A row of `eval_scores`: shares are 0 to 1, the intervals hold 95 %, `unanswered` is rows by outcome."""

    task: str
    field: str
    provider: str
    model: str
    prompt_version: str
    variant: str | None
    gold_hash: str
    rows: int
    answered: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    micro_f1: float
    cost_usd: float
    per_class: Sequence[Mapping[str, object]]
    confusion: Mapping[str, object]
    unanswered: Mapping[str, int]
    answers_hash: str
    job_id: str | None
    scored_at: datetime

    @property
    def setup(self) -> Setup:
        """Whose score it is."""
        return Setup(self.provider, self.model, self.prompt_version, self.variant)


def keep_gold(connection: DuckDBPyConnection, gold: GoldSet, source: str) -> None:
    """Keeps a set, as the newest; to be called in a transaction."""
    connection.execute("DELETE FROM gold_answers WHERE gold_hash = ?", [gold.gold_hash])
    connection.execute(
        _KEEP_GOLD,
        {
            "task": gold.task,
            "field": gold.field,
            "hash": gold.gold_hash,
            "ids": list(gold.rows),
            "answers": [json.dumps(labels) for labels in gold.rows.values()],
            "source": source,
        },
    )


def gold_set(connection: DuckDBPyConnection, run: Run) -> GoldSet:
    """The set that a run was about."""
    rows = connection.execute("SELECT record_id, answer FROM gold_answers WHERE gold_hash = ?", [run.gold_hash])
    return GoldSet(run.task, run.field, _by_record(rows.fetchall()))


def all_gold(connection: DuckDBPyConnection, task: str, field: str) -> GoldSet:
    """Every gold answer that there is of a field: of each record the one that was loaded last."""
    return GoldSet(task, field, _by_record(connection.execute(_ALL_GOLD, [task, field]).fetchall()))


def note_run(connection: DuckDBPyConnection, run: Run) -> None:
    """Keeps that a setup is asked about a set; to be called in a transaction."""
    setup = run.setup
    values = [run.task, run.field, run.gold_hash, setup.provider, setup.model, setup.prompt_version, setup.variant]
    connection.execute("INSERT INTO eval_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, now())", [*values, run.job_id])


def runs(connection: DuckDBPyConnection, task: str | None = None) -> list[Run]:
    """Each setup and set that was asked about, once, the newest first."""
    found = connection.execute(_RUNS, [task]).fetchall()
    return [Run(of, field, gold_hash, Setup(*setup), job_id) for of, field, gold_hash, *setup, job_id in found]


def add_score(connection: DuckDBPyConnection, score: Score) -> None:
    """Appends a score; to be called in a transaction."""
    values = dict(vars(score))
    for name in ("per_class", "confusion", "unanswered"):
        values[name] = json.dumps(values[name])
    names = ", ".join(values)
    marks = ", ".join(f"${name}" for name in values)
    connection.execute(f"INSERT INTO eval_scores ({names}) VALUES ({marks})", values)  # noqa: S608 - fields of Score


def scores(connection: DuckDBPyConnection, task: str | None = None, *, newest_only: bool = False) -> list[Score]:
    """Scores, the newest first; of each setup and set the newest only, or all that there ever were."""
    found = connection.execute(_SCORES, {"task": task, "newest": newest_only})
    names = [column[0] for column in found.description or ()]
    return [_score(dict(zip(names, row, strict=True))) for row in found.fetchall()]


def _score(row: dict[str, object]) -> Score:
    for name in ("per_class", "confusion", "unanswered"):
        row[name] = json.loads(str(row[name]))
    row["scored_at"] = cast(datetime, row["scored_at"]).replace(tzinfo=UTC)
    return Score(**row)  # pyright: ignore[reportArgumentType] - the table's columns are its fields


def _by_record(rows: Sequence[tuple[str, str]]) -> dict[str, Labels]:
    return {record_id: tuple(json.loads(answer)) for record_id, answer in rows}


_KEEP_GOLD = """
INSERT INTO gold_answers BY NAME
SELECT $task AS task, $field AS field, $hash AS gold_hash, unnest($ids::VARCHAR[]) AS record_id,
    unnest($answers::VARCHAR[])::JSON AS answer, $source AS source, now() AS loaded_at
"""

_ALL_GOLD = """
SELECT record_id, answer
FROM gold_answers
WHERE task = ? AND field = ?
QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY loaded_at DESC, gold_hash) = 1
ORDER BY record_id
"""

_RUNS = """
SELECT task, field, gold_hash, provider, model, prompt_version, variant, arg_max(job_id, asked_at) AS job_id
FROM eval_runs
WHERE $1 IS NULL OR task = $1
GROUP BY ALL
ORDER BY max(asked_at) DESC, field
"""

_SCORES = """
SELECT * REPLACE (timezone('UTC', scored_at) AS scored_at)  -- a TIMESTAMPTZ would need pytz on its way to Python
FROM eval_scores
WHERE $task IS NULL OR task = $task
QUALIFY NOT $newest OR row_number() OVER (
    PARTITION BY task, field, gold_hash, provider, model, prompt_version, variant ORDER BY scored_at DESC
) = 1
ORDER BY scored_at DESC, field
"""
