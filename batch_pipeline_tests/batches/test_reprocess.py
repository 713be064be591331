"""Failed records of earlier jobs, asked anew: exactly these, once, and by the task as it is now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from batch_pipeline.batches.collect import collect
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.reprocess import Wanted, again, by_code, failed, reprocess
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing.status import status
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.errors import Disabled, UnknownJob, UnpricedModel, UsageError
from batch_pipeline.ledger import events, fingerprints, jobs
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.tasks import BatchTask
from batch_pipeline_tests.batches.chain import answers, mood, planned, query, run, write_notes
from batch_pipeline_tests.books import Books

REFUSES: dict[str, object] = {"kind": "rows", "status": 400, "code": "too_odd", "every": 2}


def reprocessed(pipeline: Pipeline, wanted: Wanted, task: BatchTask = mood) -> list[Job]:
    """The jobs that were made, run to their end."""
    orders = again(task, wanted, failed(pipeline, wanted), Order(task))
    made = [reprocess(pipeline, one).job for one in orders]
    for job in made:
        if job.records:
            run(pipeline, job)
    return made


def given_up(pipeline: Pipeline) -> int:
    with pipeline.ledger.read() as db:
        return db.exec_driver_sql("SELECT count(*) FROM given_up").scalar_one()


@pytest.fixture
def half(pipeline: Pipeline, books: Books) -> tuple[Pipeline, Job]:
    """Four notes, of which two failed."""
    write_notes(pipeline, 4)
    books.order(REFUSES)
    job = planned(pipeline)
    assert run(pipeline, job).outcomes == {"answered": 2, "failed": 2}
    books.order()
    return pipeline, job


def test_what_failed_is_asked_anew_and_nothing_else(half: tuple[Pipeline, Job], books: Books) -> None:
    pipeline, first = half
    assert planned(pipeline).given_up == 2
    (job,) = reprocessed(pipeline, Wanted("mood"))
    assert (job.job_type, job.records, job.requests) == ("reprocess", 2, 2)
    assert job.metadata["reprocesses"] == {"failed": {"too_odd": 2}, "jobs": [first.job_id]}
    assert status(pipeline, job.job_id).outcomes == {"answered": 2}
    assert len(answers(pipeline)) == 4
    assert books.lines_executed == 4 + 2
    assert given_up(pipeline) == 0
    assert failed(pipeline, Wanted("mood")) == []
    assert query(pipeline, f"SELECT count(*) FROM batch_items WHERE job_id = '{job.job_id}'") == [(2,)]
    with pipeline.ledger.read() as db:
        told = [event.detail for event in events.of_job(db, first.job_id) if event.event == "reprocessed"]
    assert told == [{"records": 2, "by": job.job_id}]


def test_code_time_job_and_variant_narrow_what_is_asked(half: tuple[Pipeline, Job], books: Books) -> None:
    pipeline, first = half
    roles = replace(mood, system="", variants={"kind": "Be kind."})
    books.order({"kind": "refusal"})
    kind = planned(pipeline, roles, Selection(variant="kind"))
    run(pipeline, kind)
    found = failed(pipeline, Wanted("mood"))
    assert by_code(found) == {"refusal": 4, "too_odd": 2}
    wanted = {
        "refusal": Wanted("mood", code="refusal"),
        "refused": Wanted("mood", code="refused"),
        "kind": Wanted("mood", variant="kind"),
        "job": Wanted(job_id=kind.job_id),
    }
    for name, each in wanted.items():
        assert by_code(failed(pipeline, each)) == {"refusal": 4}, name
    assert by_code(failed(pipeline, Wanted("mood", since=first.created_at - 1))) == by_code(found)
    assert failed(pipeline, Wanted("mood", since=first.created_at + 3600)) == []
    assert failed(pipeline, Wanted("other")) == []
    books.order()
    orders = again(roles, Wanted("mood"), found, Order(roles))
    assert {one.order.selection.variant: len(one.failures) for one in orders} == {None: 2, "kind": 4}
    with pytest.raises(UsageError, match="is one of `mood`, not of `other`"):
        failed(pipeline, Wanted("other", job_id=first.job_id))
    with pytest.raises(UnknownJob):
        failed(pipeline, Wanted(job_id="nobody"))


def test_the_task_as_it_is_now_is_asked_and_the_record_as_it_is_now(half: tuple[Pipeline, Job]) -> None:
    pipeline, _ = half
    corrected = replace(mood, system="Is it glad or sad? One word.")
    wanted = Wanted("mood")
    names = {each.record_id for each in failed(pipeline, wanted)}
    (job,) = reprocessed(pipeline, wanted, corrected)
    now = query(pipeline, f"SELECT record_id FROM mood_latest WHERE prompt_version = '{corrected.prompt_version()}'")
    assert {name for (name,) in now} == names
    assert job.records == 2


def test_what_was_answered_meanwhile_is_left_alone(half: tuple[Pipeline, Job], books: Books) -> None:
    pipeline, _ = half
    found = failed(pipeline, Wanted("mood"))
    orders = again(mood, Wanted("mood"), found, Order(mood))
    run(pipeline, planned(pipeline, selection=Selection(ids=(found[0].record_id,)), force=True))
    executed = books.lines_executed
    job = reprocess(pipeline, orders[0]).job
    assert (job.selected, job.records) == (2, 1)
    run(pipeline, job)
    assert books.lines_executed == executed + 1


@pytest.mark.parametrize(
    ("settings", "order", "error"),
    [({"enabled": False}, {}, Disabled), ({}, {"provider": "openai", "model": "no-such-model"}, UnpricedModel)],
)
def test_what_can_not_be_planned_is_given_up_as_before(
    half: tuple[Pipeline, Job],
    make_pipeline: Callable[..., Pipeline],
    settings: dict[str, object],
    order: dict[str, str],
    error: type[Exception],
) -> None:
    other = make_pipeline(**settings)
    template = Order(mood, **order)  # pyright: ignore[reportArgumentType] - fields of Order
    for one in again(mood, Wanted("mood"), failed(other, Wanted("mood")), template):
        with pytest.raises(error):
            reprocess(other, one)
    assert given_up(other) == 2


def test_a_plan_that_fails_in_the_middle_gives_up_again_what_was_forgiven(half: tuple[Pipeline, Job]) -> None:
    pipeline, _ = half
    (one,) = again(mood, Wanted("mood"), failed(pipeline, Wanted("mood")), Order(mood))
    with pipeline.warehouse.write() as connection:
        connection.execute("DROP TABLE notes")
    with pytest.raises(UsageError):
        reprocess(pipeline, one)
    assert given_up(pipeline) == 2
    assert planned_jobs(pipeline) == 1


def test_records_that_are_gone_leave_the_rest_and_are_given_up_still(half: tuple[Pipeline, Job]) -> None:
    pipeline, _ = half
    (one,) = again(mood, Wanted("mood"), failed(pipeline, Wanted("mood")), Order(mood))
    with pipeline.warehouse.write() as connection:
        connection.execute("DELETE FROM notes")
    job = reprocess(pipeline, one).job
    assert (job.selected, job.records) == (0, 0)
    assert given_up(pipeline) == 2


def test_a_job_that_still_goes_on_keeps_its_failed_records(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 2)
    books.order({"kind": "rows", "status": 500, "every": 2})
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    while not collect(pipeline, job.job_id).batches:
        poll(pipeline, "local")
    assert query(pipeline, "SELECT count(*) FROM batch_results WHERE outcome = 'retryable'") == [(1,)]
    assert failed(pipeline, Wanted("mood")) == []


def test_forgiving_is_of_these_fingerprints_only(half: tuple[Pipeline, Job]) -> None:
    pipeline, job = half
    with pipeline.ledger.begin() as db:
        names = [str(row[0]) for row in db.exec_driver_sql("SELECT fingerprint FROM given_up")]
        rows = fingerprints.forgive(db, names[:1])
        assert fingerprints.which_given_up(db, names) == set(names[1:])
        fingerprints.give_up_again(db, rows)
        assert fingerprints.which_given_up(db, names) == set(names)
        fingerprints.give_up_again(db, rows)
        assert [row["job_id"] for row in rows] == [job.job_id]


def planned_jobs(pipeline: Pipeline) -> int:
    with pipeline.ledger.read() as db:
        return len(jobs.newest(db))
