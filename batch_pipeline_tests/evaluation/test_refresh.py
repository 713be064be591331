from __future__ import annotations

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.evaluation.refresh import refresh_scores
from batch_pipeline.evaluation.run import begin
from batch_pipeline_tests.batches.chain import mood, query, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.evaluation.notes import evaluated, glad, matched, through

TASKS = {"mood": mood}


def test_a_run_that_nobody_waited_for_is_scored_when_its_job_is_through(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 4)
    books.order({"kind": "slow", "stage": "finalizing", "seconds": 1})
    now = begin(pipeline, matched(pipeline, glad(4)))
    assert refresh_scores(pipeline, TASKS) == []
    through(pipeline, now)
    (score,) = refresh_scores(pipeline, TASKS)
    assert (score.rows, score.answered, score.job_id) == (4, 4, now and now.job_id)


def test_scores_are_made_again_only_where_answers_changed(pipeline: Pipeline) -> None:
    write_notes(pipeline, 4)
    kept = evaluated(pipeline, glad(4)).score
    assert refresh_scores(pipeline, TASKS) == [kept]
    with pipeline.warehouse.write() as connection:
        connection.execute("UPDATE mood SET label = 'glad'")
    (score,) = refresh_scores(pipeline, TASKS)
    assert (score.accuracy, score.macro_f1) == (1.0, 1.0)
    refresh_scores(pipeline, TASKS)
    assert query(pipeline, "SELECT count(*) FROM eval_scores") == [(2,)]


def test_what_no_task_is_there_for_stays_as_it_was(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    kept = evaluated(pipeline, glad(2)).score
    assert refresh_scores(pipeline, {}) == [kept]


def test_without_evaluations_there_is_nothing_to_do(pipeline: Pipeline) -> None:
    assert refresh_scores(pipeline, TASKS) == []
