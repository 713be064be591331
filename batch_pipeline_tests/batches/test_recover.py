"""A ledger that is behind the world learns from folders, markers and the provider's listing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.recover import recover_all
from batch_pipeline.batches.standing.status import statuses
from batch_pipeline.batches.submit import submit
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.ledger import budgets
from batch_pipeline_tests.batches.chain import answers, planned, run, write_notes
from batch_pipeline_tests.books import Books

Make = Callable[..., Pipeline]


def lose_ledger(pipeline: Pipeline) -> None:
    if pipeline.settings.ledger_url is not None:
        with pipeline.ledger.begin() as db:
            db.execute(text("DROP SCHEMA public CASCADE"))
            db.execute(text("CREATE SCHEMA public"))
    pipeline.close()
    for path in pipeline.data_dir.glob("ledger.db*"):
        path.unlink()


def test_a_ledger_that_was_deleted_learns_from_the_markers(make_pipeline: Make, books: Books) -> None:
    pipeline = make_pipeline()
    books.order({"kind": "reply_lost", "on": "batches.create"})
    write_notes(pipeline, 3)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    lose_ledger(pipeline)
    after = make_pipeline()
    submit(after, "local")
    assert run(after, job).outcomes == {"answered": 3}
    assert len(books.batches) == 1


def test_without_the_markers_it_learns_from_the_listing(make_pipeline: Make, books: Books) -> None:
    pipeline = make_pipeline(max_requests=2)
    write_notes(pipeline, 4)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    lose_ledger(pipeline)
    shutil.rmtree(pipeline.settings.batches_dir / "sends")
    after = make_pipeline(max_requests=2)
    recovered = recover_all(after, "local")
    assert (recovered.jobs, len(recovered.adopted), recovered.orphans) == ([job.job_id], 2, [])
    assert run(after, job).outcomes == {"answered": 4}
    assert (len(books.batches), books.lines_executed) == (2, 4)


def test_what_was_planned_and_never_sent_comes_back_too(make_pipeline: Make, books: Books) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, 3)
    job = planned(pipeline)
    lose_ledger(pipeline)
    after = make_pipeline()
    assert recover_all(after, "local").jobs == [job.job_id]
    assert run(after, job).outcomes == {"answered": 3}
    assert len(books.batches) == 1


def test_recovering_twice_finds_nothing_more(make_pipeline: Make) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, 3)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    recovered = recover_all(pipeline, "local")
    assert (recovered.jobs, recovered.adopted) == ([], [])


def test_a_batch_of_whose_job_nothing_is_left_is_told(make_pipeline: Make) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, 3)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    lose_ledger(pipeline)
    shutil.rmtree(pipeline.settings.batches_dir)
    recovered = recover_all(make_pipeline(), "local")
    assert (recovered.adopted, len(recovered.orphans)) == ([], 1)


def test_money_that_was_spent_is_known_again(make_pipeline: Make, books: Books) -> None:
    def make() -> Pipeline:
        return make_pipeline(OPENAI_API_KEY="k", OPENAI_BASE_URL=books.url)

    pipeline = make()
    write_notes(pipeline, 3)
    job = planned(pipeline, provider="openai")
    cost = run(pipeline, job).cost_usd
    lose_ledger(pipeline)
    after = make()
    submit(after, "openai")
    state = run(after, job)
    assert (state.cost_usd, state.outcomes) == (pytest.approx(cost), {"answered": 3})
    with after.ledger.read() as db:
        assert budgets.spent_by_job(db, job.job_id) == pytest.approx(cost)
    assert books.lines_executed == 3


def test_what_the_provider_has_forgotten_is_collected_from_the_disk(make_pipeline: Make, books: Books) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, 3)
    job = planned(pipeline)
    run(pipeline, job)
    before = answers(pipeline)
    lose_ledger(pipeline)
    books.order({"kind": "listing_empty", "times": None})
    after = make_pipeline()
    submit(after, "local")
    state = run(after, job)
    assert state.outcomes == {"answered": 3}
    assert answers(after) == before
    assert books.lines_executed == 3


def test_a_ledger_from_before_the_plan_was_committed_does_not_take_it_for_a_dead_one(
    make_pipeline: Make, books: Books
) -> None:
    pipeline = make_pipeline()
    books.order({"kind": "reply_lost", "on": "batches.create"})
    write_notes(pipeline, 3)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    with pipeline.ledger.begin() as db:  # as a copy of some seconds ago has it
        db.exec_driver_sql("DELETE FROM sends")
        db.exec_driver_sql("DELETE FROM batches")
        db.exec_driver_sql("UPDATE jobs SET planned_at = NULL")
    submit(pipeline, "local")
    assert run(pipeline, job).outcomes == {"answered": 3}
    assert len(books.batches) == 1


def test_an_attempt_whose_job_is_gone_comes_back_as_a_job_of_its_own(make_pipeline: Make, books: Books) -> None:
    pipeline = make_pipeline()
    books.order({"kind": "rows", "status": 500, "times": 1})
    write_notes(pipeline, {"a": "one"})
    job = planned(pipeline)
    run(pipeline, job)
    lose_ledger(pipeline)
    shutil.rmtree(pipeline.folder(job.job_id).path)
    after = make_pipeline()
    submit(after, "local")
    (state,) = statuses(after)
    assert run(after, replace(job, job_id=state.job_id)).outcomes == {"answered": 1}
    assert books.lines_executed == 2


def test_a_marker_whose_job_is_gone_holds_nobody_up(make_pipeline: Make, books: Books) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, 2)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    lose_ledger(pipeline)
    shutil.rmtree(pipeline.folder(job.job_id).path)
    after = make_pipeline()
    write_notes(after, {"c": "another"})
    assert run(after, planned(after)).outcomes == {"answered": 1}
