"""Scores brought up to date: those of evaluations whose answers, or outcomes, are others than when they were scored."""

from __future__ import annotations

from collections.abc import Mapping

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import FINAL, status
from batch_pipeline.errors import UnknownJob
from batch_pipeline.evaluation import store
from batch_pipeline.evaluation.fields import scorable
from batch_pipeline.evaluation.given import given_by
from batch_pipeline.evaluation.run import answers_hash, judge
from batch_pipeline.evaluation.store import Run, Score
from batch_pipeline.tasks.task import BatchTask


def refresh_scores(pipeline: Pipeline, tasks: Mapping[str, BatchTask]) -> list[Score]:
    """Scores again what has changed, once its job is through; what a task has no more is left as it was.

    Returns:
        The newest score of each setup and gold set, the newest first.
    """
    with pipeline.warehouse.read() as connection:
        runs = store.runs(connection)
        before = {_key(score): score for score in store.scores(connection, newest_only=True)}
    changed = [
        score
        for run in runs
        if run.task in tasks and _through(pipeline, run)
        for score in [_again(pipeline, run, tasks[run.task], before.get(_key(run)))]
        if score is not None
    ]
    if changed:
        with pipeline.warehouse.write() as connection:
            for score in changed:
                store.add_score(connection, score)
    with pipeline.warehouse.read() as connection:
        return store.scores(connection, newest_only=True)


def _again(pipeline: Pipeline, run: Run, task: BatchTask, before: Score | None) -> Score | None:
    field = scorable(task).get(run.field)
    if field is None:
        return None
    with pipeline.warehouse.read() as connection:
        gold = store.gold_set(connection, run)
    if not gold.rows:
        return None
    given = given_by(pipeline, run.task, field, run.setup, gold.rows)
    if before is not None and before.answers_hash == answers_hash(given):
        return None
    return judge(pipeline, run, field, gold).score


def _through(pipeline: Pipeline, run: Run) -> bool:
    if run.job_id is None:
        return True
    try:
        return status(pipeline, run.job_id).state in FINAL
    except UnknownJob:  # the ledger is another one; the answers are in the warehouse all the same
        return True


def _key(of: Run | Score) -> tuple[object, ...]:
    return of.task, of.field, of.gold_hash, of.setup
