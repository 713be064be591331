"""The local files of jobs that are through, never an answer."""

from __future__ import annotations

from collections.abc import Callable

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.prune import prune
from batch_pipeline.batches.turn import submit_job
from batch_pipeline_tests.batches.chain import answers, planned, run, write_notes
from batch_pipeline_tests.books import Books


def test_files_of_jobs_that_are_through_go_and_answers_stay(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 3)
    job = planned(pipeline)
    run(pipeline, job)
    before = answers(pipeline)
    pruned = prune(pipeline, older_than_days=0)
    assert pruned.jobs == 1
    assert pruned.bytes > 0
    assert not pipeline.folder(job.job_id).path.exists()
    assert pipeline.markers.claims() == set()
    assert answers(pipeline) == before
    assert planned(pipeline).records == 0
    submit_job(pipeline, job.job_id)
    assert books.lines_executed == 3


def test_what_is_not_through_or_not_old_stays(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, 3)
    run(pipeline, planned(pipeline))
    assert prune(pipeline, older_than_days=1).jobs == 0
    write_notes(pipeline, 5)
    job = planned(pipeline)
    assert prune(pipeline, older_than_days=0).jobs == 1
    assert run(pipeline, job).outcomes == {"answered": 2}


def test_remote_files_go_where_the_setting_says_so(make_pipeline: Callable[..., Pipeline], books: Books) -> None:
    pipeline = make_pipeline(delete_remote_files=True)
    write_notes(pipeline, 3)
    run(pipeline, planned(pipeline))
    assert books.files_kept == 0
