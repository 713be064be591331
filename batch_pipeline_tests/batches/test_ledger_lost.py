"""A ledger is lost while others go on: what it forgot is not planned and bought again."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import pytest

from batch_pipeline.batches import points
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.status import status
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.errors import LedgerReplaced, PipelineError
from batch_pipeline_tests.batches.chain import planned, run, write_notes
from batch_pipeline_tests.books import Books


@pytest.fixture(autouse=True)
def _no_hook() -> Generator[None]:
    yield
    points.hook = None


def remove_ledger(pipeline: Pipeline) -> None:
    """Whoever has it open goes on in the file that is gone."""
    for path in pipeline.data_dir.glob("ledger.db*"):
        path.unlink()


def submitted(pipeline: Pipeline, job_id: str) -> None:
    assert submit_job(pipeline, job_id).created


def at(point: str, step: Callable[[], None]) -> None:
    """Does something once, when a process comes to the point."""

    def hook(reached: str) -> None:
        if reached == point:
            points.hook = None
            step()

    points.hook = hook


def test_a_job_that_is_planned_again_after_its_ledger_was_deleted_is_found(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    """The chaos run found it: planned before anything was recovered, it was bought a second time."""
    before = make_pipeline()
    write_notes(before, 3)
    job = planned(before, key="nightly")
    submit_job(before, job.job_id)
    remove_ledger(before)
    after = make_pipeline()
    assert planned(after, key="nightly").job_id == job.job_id
    assert run(after, job).outcomes == {"answered": 3}
    assert books.lines_executed == 3


def test_a_job_under_another_key_waits_for_what_was_in_flight_before_the_ledger_was_deleted(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    before = make_pipeline()
    write_notes(before, 3)
    job = planned(before, key="nightly")
    submit_job(before, job.job_id)
    remove_ledger(before)
    after = make_pipeline()
    again = planned(after, key="by hand")
    assert again.waiting == 3
    assert run(after, again).outcomes == {"answered": 3}
    assert books.lines_executed == 3


def test_a_submitter_whose_ledger_was_removed_stops_when_its_job_was_planned_anew(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    before = make_pipeline()
    write_notes(before, 3)
    job = planned(before, key="nightly")
    remove_ledger(before)
    after = make_pipeline()
    anew = planned(after, key="nightly")
    assert anew.job_id != job.job_id
    with pytest.raises(LedgerReplaced, match="Run it again"):
        submit_job(before, job.job_id)
    assert books.batches == []
    assert run(after, anew).outcomes == {"answered": 3}
    assert books.lines_executed == 3


@pytest.mark.parametrize("point", ["claim.recorded", "upload.replied", "send.marker_synced", "send.posted_recorded"])
def test_a_job_that_is_planned_anew_while_its_submitter_goes_on_without_ledger_is_bought_once(
    make_pipeline: Callable[..., Pipeline], books: Books, point: str
) -> None:
    before, after = make_pipeline(), make_pipeline()
    write_notes(before, 3)
    job = planned(before, key="nightly")

    def plan_anew() -> None:
        remove_ledger(before)
        planned(after, key="nightly")

    at(point, plan_anew)
    with suppress(PipelineError):
        submit_job(before, job.job_id)
    assert run(after, planned(after, key="nightly")).outcomes == {"answered": 3}
    assert books.lines_executed == 3


def test_a_plan_is_given_up_when_something_is_sent_from_another_ledger_meanwhile(
    make_pipeline: Callable[..., Pipeline], books: Books, tmp_path: Path
) -> None:
    ours, theirs = make_pipeline(), make_pipeline(ledger_url=f"sqlite:///{tmp_path / 'theirs.db'}")
    write_notes(ours, 3)
    job = planned(theirs, key="nightly")
    at("plan.inflight_taken", lambda: submitted(theirs, job.job_id))
    with pytest.raises(PipelineError, match="another ledger"):
        planned(ours, key="nightly")
    assert planned(ours, key="nightly").job_id == job.job_id
    assert run(ours, job).outcomes == {"answered": 3}
    assert books.lines_executed == 3


def test_a_job_whose_key_was_taken_meanwhile_is_collected_and_nothing_more_of_it_is_sent(
    make_pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    """Two ledgers in which the same was planned at once: what stays possible, and must stop nobody."""
    ours, theirs = make_pipeline(), make_pipeline(ledger_url=f"sqlite:///{tmp_path / 'theirs.db'}")
    write_notes(ours, 3)
    mine, other = planned(ours, key="nightly"), planned(theirs, key="nightly")
    submitted(theirs, other.job_id)
    assert run(ours, mine).outcomes == {"answered": 3}
    assert status(ours, other.job_id).batches[0].remote_id is not None
