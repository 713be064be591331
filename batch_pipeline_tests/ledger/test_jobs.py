from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from batch_pipeline.errors import PlanSuperseded, UnknownJob
from batch_pipeline.ledger import fingerprints, jobs
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.jobs import Job
from batch_pipeline_tests.ledger.rows import job
from batch_pipeline_tests.processes import at_once


@pytest.fixture
def ledger(ledger_url: str) -> Generator[Ledger]:
    made = Ledger(ledger_url)
    yield made
    made.close()


def opened(ledger: Ledger, job_id: str = "job", **columns: object) -> Job:
    with ledger.begin() as db:
        return jobs.open_job(db, job(job_id, **columns))


def begun(ledger: Ledger, planner: str, job_id: str = "job") -> Job:
    with ledger.begin() as db:
        return jobs.begin_plan(db, jobs.get(db, job_id), planner)


def open_same(url: str, _folder: Path, number: int) -> str:
    ledger = Ledger(url)
    with ledger.begin() as db:
        made = jobs.open_job(db, job(f"job-{number}", key="the same"))
    ledger.close()
    return made.job_id


def test_a_call_that_is_repeated_by_several_processes_finds_one_job(
    ledger_url: str, tmp_path: Path, ledger: Ledger
) -> None:
    ends = at_once(4, partial(open_same, ledger_url), tmp_path)
    with ledger.read() as db:
        assert [found.job_id for found in jobs.newest(db)] == [ends[0]]
    assert len(set(ends)) == 1


def test_an_unknown_job_is_told_with_the_way_to_the_known_ones(ledger: Ledger) -> None:
    with ledger.read() as db, pytest.raises(UnknownJob, match=r"There is no job `nowhere`\. `batch-pipeline list`"):
        jobs.get(db, "nowhere")


class TestPlanning:
    def test_only_the_last_planner_counts(self, ledger: Ledger) -> None:
        opened(ledger)
        first = begun(ledger, "first")
        second = begun(ledger, "second")
        with ledger.begin() as db:
            with pytest.raises(PlanSuperseded, match="Another process plans job `job` now"):
                jobs.must_be_planner(db, "job", "first")
            jobs.must_be_planner(db, "job", "second")
        with ledger.begin() as db, pytest.raises(PlanSuperseded):
            jobs.commit_plan(db, replace(first, planned_at=1.0))
        with ledger.begin() as db:
            jobs.commit_plan(db, replace(second, planned_at=2.0, records=7))
            assert (jobs.get(db, "job").records, jobs.get(db, "job").planner) == (7, "second")

    def test_a_new_planner_lets_go_what_the_one_before_had_taken(self, ledger: Ledger) -> None:
        opened(ledger)
        opened(ledger, "other")
        begun(ledger, "first")
        with ledger.begin() as db:
            fingerprints.take(db, "job", {"a": "1"})
            fingerprints.take(db, "other", {"b": "2"})
            fingerprints.wait_for(db, "job", ["b"])
        begun(ledger, "second")
        with ledger.read() as db:
            assert set(fingerprints.holders(db, ["a", "b"])) == {"b"}
            assert not fingerprints.still_waiting(db, "job")

    def test_a_plan_is_never_rewritten(self, ledger: Ledger) -> None:
        planned = replace(begun_and_opened(ledger), planned_at=1.0, records=3)
        with ledger.begin() as db:
            jobs.commit_plan(db, planned)
        with ledger.begin() as db, pytest.raises(PlanSuperseded):
            jobs.commit_plan(db, replace(planned, records=4))
        with ledger.begin() as db, pytest.raises(PlanSuperseded, match="has been planned by another process"):
            jobs.begin_plan(db, planned, "late")
        with ledger.read() as db:
            assert jobs.get(db, "job") == planned

    def test_a_cancellation_that_is_asked_for_meanwhile_is_kept(self, ledger: Ledger) -> None:
        planning = begun_and_opened(ledger)
        with ledger.begin() as db:
            assert jobs.ask_cancel(db, "job")
        with ledger.begin() as db:
            jobs.commit_plan(db, replace(planning, planned_at=1.0, taken={"invalid": 2}, bound_usd=0.5))
            planned = jobs.get(db, "job")
        assert planned.cancel_asked_at is not None
        assert (planned.taken, planned.bound_usd) == ({"invalid": 2}, 0.5)

    def test_a_job_that_was_never_planned_is_forgotten_with_all_it_had(self, ledger: Ledger) -> None:
        planning = begun_and_opened(ledger)
        with ledger.begin() as db:
            fingerprints.take(db, "job", {"a": "1"})
            fingerprints.wait_for(db, "job", ["b"])
            assert jobs.discard(db, planning)
            assert jobs.find(db, planning.key) is None
            assert fingerprints.holders(db, ["a"]) == {}
            assert not jobs.discard(db, planning)

    def test_a_job_that_another_process_plans_or_has_planned_is_not_forgotten(self, ledger: Ledger) -> None:
        first = begun_and_opened(ledger)
        second = begun(ledger, "second")
        with ledger.begin() as db:
            fingerprints.take(db, "job", {"a": "1"})
            assert not jobs.discard(db, first)
            jobs.commit_plan(db, replace(second, planned_at=1.0))
            assert not jobs.discard(db, second)
            assert set(fingerprints.holders(db, ["a"])) == {"a"}

    def test_a_job_that_nobody_began_to_plan_is_forgotten_too(self, ledger: Ledger) -> None:
        made = opened(ledger)
        with ledger.begin() as db:
            assert jobs.discard(db, made)


def begun_and_opened(ledger: Ledger) -> Job:
    opened(ledger)
    return begun(ledger, "planner")


class TestAttempts:
    def test_an_attempt_is_unique_by_root_and_number(self, ledger: Ledger) -> None:
        opened(ledger)
        opened(ledger, "job-again2", root_job_id="job", attempt=2)
        with pytest.raises(IntegrityError):
            opened(ledger, "job-again2b", root_job_id="job", attempt=2)
        with ledger.read() as db:
            assert [found.job_id for found in jobs.attempts(db, "job")] == ["job", "job-again2"]
            assert [found.job_id for found in jobs.newest(db)] == ["job"]

    def test_closing_and_cancelling_concern_the_whole_chain(self, ledger: Ledger) -> None:
        opened(ledger)
        opened(ledger, "job-again2", root_job_id="job", attempt=2)
        opened(ledger, "other")
        with ledger.begin() as db:
            assert jobs.ask_cancel(db, "job")
            assert not jobs.ask_cancel(db, "job")
            jobs.close(db, "job")
            assert [found.job_id for found in jobs.not_closed(db)] == ["other"]
            assert all(found.cancel_asked_at and found.closed_at for found in jobs.attempts(db, "job"))
            jobs.reopen(db, "job")
            assert {found.job_id for found in jobs.not_closed(db)} == {"job", "job-again2", "other"}

    def test_a_closed_job_is_not_cancelled(self, ledger: Ledger) -> None:
        opened(ledger)
        with ledger.begin() as db:
            jobs.close(db, "job")
            assert not jobs.ask_cancel(db, "job")


def test_jobs_come_the_newest_first_and_open_ones_the_oldest_first(ledger: Ledger) -> None:
    for number in (2, 1, 3):
        opened(ledger, f"job-{number}", created_at=float(number))
    with ledger.read() as db:
        assert [found.job_id for found in jobs.newest(db, limit=2)] == ["job-3", "job-2"]
        assert [found.job_id for found in jobs.not_closed(db)] == ["job-1", "job-2", "job-3"]


def test_what_is_shared_is_handed_over_once(ledger: Ledger) -> None:
    made = opened(ledger, reused=1, waiting=2, unsendable=3)
    assert made.shared == 6
    with ledger.begin() as db:
        fingerprints.wait_for(db, "job", ["a"])
        assert jobs.set_shared(db, "job", {"answered": 6})
        assert not jobs.set_shared(db, "job", {"answered": 5})
        assert jobs.get(db, "job").shared_outcomes == {"answered": 6}


def test_a_job_is_restored_where_it_is_gone_only(ledger: Ledger) -> None:
    with ledger.begin() as db:
        assert jobs.restore(db, job(records=3, planned_at=1.0))
        assert not jobs.restore(db, job(records=4, planned_at=1.0))
        assert not jobs.restore(db, job("another", key=job().key, planned_at=1.0))
        assert jobs.get(db, "job").records == 3
