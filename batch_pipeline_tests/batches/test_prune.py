"""The local files of jobs that are through, never an answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.prune import prune
from batch_pipeline.batches.recover import recover_all
from batch_pipeline.batches.submit import submit
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.settings import Settings
from batch_pipeline_tests.batches.apart import killed_at
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


@pytest.mark.parametrize("listing", ["whole", "empty"])
def test_a_prune_that_is_killed_in_the_middle_sends_nothing_again_when_the_ledger_is_lost_too(
    make_pipeline: Callable[..., Pipeline], books: Books, listing: str
) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, 3)
    job = planned(pipeline)
    run(pipeline, job)
    killed_at("prune.half", partial(prune_all, pipeline.settings))
    for path in pipeline.data_dir.glob("ledger.db*"):
        path.unlink()
    if listing == "empty":  # the provider has forgotten what is so old
        books.order({"kind": "listing_empty", "times": None})
    after = make_pipeline()
    recover_all(after, "local")
    submit(after, "local")
    assert planned(after).records == 0
    assert len(answers(after)) == 3
    assert (len(books.batches), books.lines_executed) == (1, 3)


def test_a_prune_that_was_killed_is_taken_up_again(pipeline: Pipeline) -> None:
    write_notes(pipeline, 3)
    job = planned(pipeline)
    run(pipeline, job)
    killed_at("prune.half", partial(prune_all, pipeline.settings))
    assert prune(pipeline, older_than_days=0).jobs == 1
    assert not pipeline.folder(job.job_id).path.exists()
    assert pipeline.markers.claims() == set()


def prune_all(settings: Settings) -> None:
    prune(Pipeline(settings), older_than_days=0)
