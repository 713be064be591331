"""An evaluation: which gold rows there are records for, a job for those that have no answer yet, and the scores."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch_pipeline.batches.dry_run import DryRun, dry_run
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, snapshot_of
from batch_pipeline.batches.requests.prepared import CONTENT_HASH
from batch_pipeline.batches.requests.select import prepare
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing.status import JobStatus, status
from batch_pipeline.batches.turn import place
from batch_pipeline.errors import InvalidSelection, UnknownJob
from batch_pipeline.evaluation import store
from batch_pipeline.evaluation.fields import Field
from batch_pipeline.evaluation.given import Given, cost_of, given_by
from batch_pipeline.evaluation.gold import GoldFile
from batch_pipeline.evaluation.scores import Scores, score
from batch_pipeline.evaluation.store import GoldSet, Run, Score, Setup
from batch_pipeline.settings import ProviderName
from batch_pipeline.tasks.task import BatchTask
from batch_pipeline.warehouse.answers import type_of_column
from batch_pipeline.warehouse.cursors import second_cursor
from batch_pipeline.warehouse.names import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

JOB_TYPE = "eval"


@dataclass(frozen=True)
class Evaluation:
    """What is to be evaluated: a task on gold answers, on `limit` rows of them at most."""

    task: BatchTask
    gold: GoldFile
    limit: int | None = None
    provider: ProviderName | None = None
    model: str | None = None
    variant: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class Matched:
    """An evaluation's rows: gold answers that have a record, in a set for each field.

    `unmatched` are gold rows without a record; `to_ask` the records without an answer of this setup at their content.
    """

    evaluation: Evaluation
    setup: Setup
    sets: Mapping[str, GoldSet]
    record_ids: Sequence[str]
    unmatched: Sequence[str]
    to_ask: Sequence[str]

    @property
    def order(self) -> Order:
        """The order for what is to be asked; an answer that was bought before is handed over, whatever its job."""
        asked = self.evaluation
        return Order(
            asked.task,
            Selection(ids=tuple(self.to_ask), variant=asked.variant, which="all"),
            provider=asked.provider,
            model=asked.model,
            job_type=JOB_TYPE,
            metadata={**asked.metadata, "gold": asked.gold.source},
        )


def match(pipeline: Pipeline, evaluation: Evaluation) -> Matched:
    """Finds the records of the gold answers; changes nothing.

    A limit takes the first rows by the hash of their ids: the same ones each time, a smaller limit's among those of a
    larger one, and from everywhere in the file, which may be sorted by label.

    Raises:
        InvalidSelection: No gold row has a record.
        InvalidTask: The task's SQL, columns or variant are wrong.
        UnpricedModel: No price is known for the model.
    """
    task, rows = evaluation.task, {row.record_id: row for row in evaluation.gold.rows}
    snapshot = snapshot_of(
        pipeline, Order(task, Selection(variant=evaluation.variant), evaluation.provider, evaluation.model)
    )
    setup = Setup(snapshot.provider, snapshot.model, snapshot.prompt_version, snapshot.variant)
    with pipeline.warehouse.read() as connection:
        there = _content_hashes(connection, task, Selection(ids=tuple(rows), variant=setup.variant, which="all"))
        answered = _answered(connection, task.name, setup)
    unmatched = [record_id for record_id in rows if record_id not in there]
    if not there:
        raise InvalidSelection(_no_record(task, evaluation.gold, unmatched))
    chosen = sorted(there, key=_drawn)[: evaluation.limit]
    sets = {
        each.name: GoldSet(
            task.name, each.name, {one: rows[one].labels[each.name] for one in chosen if each.name in rows[one].labels}
        )
        for each in evaluation.gold.fields
    }
    to_ask = [record_id for record_id in chosen if (record_id, there[record_id]) not in answered]
    return Matched(
        evaluation, setup, {name: gold for name, gold in sets.items() if gold.rows}, chosen, unmatched, to_ask
    )


def try_run(pipeline: Pipeline, matched: Matched) -> DryRun:
    """What the job would come to; nothing is planned, sent or kept."""
    return dry_run(pipeline, matched.order)


def begin(pipeline: Pipeline, matched: Matched) -> JobStatus | None:
    """Keeps the gold answers, and asks for what has no answer; the scores can be made whenever the job is through.

    Returns:
        Where the job stands; that of the same evaluation, where it is under way. None where every answer is there,
        or given up.

    Raises:
        PipelineError: As `place`; the gold answers are kept then.
    """
    with pipeline.warehouse.write() as connection:
        for gold in matched.sets.values():
            store.keep_gold(connection, gold, matched.evaluation.gold.source)
    now = _under_way(pipeline, matched) or _placed(pipeline, matched)
    with pipeline.warehouse.write() as connection:
        for gold in matched.sets.values():
            run = Run(gold.task, gold.field, gold.gold_hash, matched.setup, now.job_id if now else None)
            store.note_run(connection, run)
    return now


def _placed(pipeline: Pipeline, matched: Matched) -> JobStatus | None:
    if not matched.to_ask:
        return None
    job = place(pipeline, matched.order).job
    return status(pipeline, job.job_id) if job.records else None


@dataclass(frozen=True)
class Judged:
    """A score, and what it is of: gold answers and what was given, by record."""

    score: Score
    gold: GoldSet
    given: Mapping[str, Given]


def judge(pipeline: Pipeline, run: Run, field_of: Field, gold: GoldSet) -> Judged:
    """Scores what there is now; changes nothing."""
    given = given_by(pipeline, run.task, field_of, run.setup, gold.rows)
    in_order = sorted(gold.rows)  # the bootstrap draws by place
    of_rows = [given[record_id] for record_id in in_order]
    found = score(
        [gold.rows[record_id] for record_id in in_order], [one.labels for one in of_rows], several=field_of.several
    )
    return Judged(_score(run, found, of_rows, answers_hash(given)), gold, given)


def finish(pipeline: Pipeline, matched: Matched, job_id: str | None) -> list[Judged]:
    """Scores each field with what was answered, and keeps the scores."""
    fields = {each.name: each for each in matched.evaluation.gold.fields}
    judged = [
        judge(pipeline, Run(gold.task, name, gold.gold_hash, matched.setup, job_id), fields[name], gold)
        for name, gold in matched.sets.items()
    ]
    with pipeline.warehouse.write() as connection:
        for each in judged:
            store.add_score(connection, each.score)
    return judged


def answers_hash(given: Mapping[str, Given]) -> str:
    """Changes whenever an answer or an outcome does."""
    told = sorted((record_id, one.outcome, list(one.labels or ())) for record_id, one in given.items())
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def _score(run: Run, found: Scores, given: Iterable[Given], hash_: str) -> Score:
    of_rows = list(given)
    return Score(
        task=run.task,
        field=run.field,
        **vars(run.setup),
        gold_hash=run.gold_hash,
        rows=found.rows,
        answered=found.answered,
        accuracy=found.accuracy,
        accuracy_low=found.accuracy_interval.low,
        accuracy_high=found.accuracy_interval.high,
        macro_f1=found.macro_f1,
        macro_f1_low=found.macro_f1_interval.low,
        macro_f1_high=found.macro_f1_interval.high,
        micro_f1=found.micro_f1,
        cost_usd=cost_of(of_rows),
        per_class=[vars(each) for each in found.per_class],
        confusion={"labels": list(found.confusion.labels), "matrix": found.confusion.matrix},
        unanswered=dict(sorted(Counter(one.outcome for one in of_rows if one.labels is None).items())),
        answers_hash=hash_,
        job_id=run.job_id,
        scored_at=datetime.now(UTC),
    )


def _under_way(pipeline: Pipeline, matched: Matched) -> JobStatus | None:
    """The job of the same evaluation, where it is not through: a call that is repeated goes on with it."""
    hashes = {gold.gold_hash for gold in matched.sets.values()}
    with pipeline.warehouse.read() as connection:
        before = store.runs(connection, matched.evaluation.task.name)
    for run in before:
        if run.job_id is not None and run.setup == matched.setup and run.gold_hash in hashes:
            try:
                now = status(pipeline, run.job_id)
            except UnknownJob:
                continue
            if now.state not in ("done", "cancelled", "failed"):
                return now
    return None


def _content_hashes(connection: DuckDBPyConnection, task: BatchTask, selection: Selection) -> dict[str, str]:
    """The records that there are, and the hash of what would be asked about."""
    prepared = prepare(connection, task, selection)
    with second_cursor(connection) as reader:
        return {str(row["record_id"]): str(row[CONTENT_HASH]) for rows in prepared.stream(reader) for row in rows}


def _answered(connection: DuckDBPyConnection, task: str, setup: Setup) -> set[tuple[str, str]]:
    if type_of_column(connection, task, "record_id") is None:
        return set()
    rows = connection.execute(_ANSWERED.format(table=quoted(task)), dict(vars(setup))).fetchall()
    return {(str(record_id), str(content_hash)) for record_id, content_hash in rows}


def _drawn(record_id: str) -> str:
    return hashlib.sha256(record_id.encode()).hexdigest()


def _no_record(task: BatchTask, gold: GoldFile, unmatched: Sequence[str]) -> str:
    return (
        f"None of the {len(unmatched):,} gold rows of {gold.source} matches a record of `{task.name}`, such as "
        f"`{unmatched[0]}`: load the records first (issues with "
        "`batch-pipeline issues load FILE`), or correct `record_id`."
    )


_ANSWERED = """
SELECT DISTINCT record_id, content_hash
FROM {table}
WHERE provider = $provider AND model = $model AND prompt_version = $prompt_version
    AND variant IS NOT DISTINCT FROM $variant
"""
