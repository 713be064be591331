"""Each batch is created once, whatever becomes of the reply."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.submit import submit
from batch_pipeline.batches.turn import submit_job, take_turn
from batch_pipeline.errors import DamagedFile, MissingKey, ProviderRefused, ProviderUnreachable
from batch_pipeline.ledger import batches, events
from batch_pipeline.ledger.jobs import Job
from batch_pipeline_tests.batches.chain import batches_of, planned, run, sends_of, write_notes
from batch_pipeline_tests.books import Books

HTML = {"kind": "status", "on": "batches.create", "status": 502, "body": "<html>Bad gateway</html>"}


def test_a_batch_carries_its_claim_and_can_be_told_from_others(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 2)
    job = planned(pipeline)
    assert submit_job(pipeline, job.job_id).created == [f"{job.job_id}-0000"]
    (send,) = sends_of(pipeline, job)
    (batch,) = books.batches
    assert batch["metadata"] == {
        "pipeline": pipeline.pipeline_id,
        "job": job.job_id,
        "batch": f"{job.job_id}-0000",
        "sha256": batches_of(pipeline, job)[0].sha256,
        "claim": send.claim,
    }
    assert batch["input_filename"] == f"{pipeline.pipeline_id}-{job.job_id}-0000-{send.claim}.jsonl"


@pytest.mark.parametrize("lost", [1, 3])
def test_a_lost_reply_is_looked_for_and_adopted(pipeline: Pipeline, books: Books, lost: int) -> None:
    books.order({"kind": "reply_lost", "on": "batches.create", "times": lost})
    write_notes(pipeline, 3)
    job = planned(pipeline)
    assert "looked for before anything is sent again" in submit_job(pipeline, job.job_id).not_yet[f"{job.job_id}-0000"]
    assert run(pipeline, job).outcomes == {"answered": 3}
    assert len(books.batches) == 1
    assert books.lines_executed == 3
    assert told(pipeline, job).count("adopted") == 1


def test_three_replies_that_are_lost_running_are_three_batches(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(max_requests=1)
    books.order({"kind": "reply_lost", "on": "batches.create", "times": 3})
    write_notes(pipeline, 3)
    job = planned(pipeline)
    assert len(submit_job(pipeline, job.job_id).not_yet) == 3
    assert run(pipeline, job).outcomes == {"answered": 3}
    assert (len(books.batches), books.lines_executed) == (3, 3)
    assert told(pipeline, job).count("adopted") == 3


@pytest.mark.parametrize("fault", [HTML, {"kind": "request_lost", "on": "batches.create"}])
def test_a_create_that_never_happened_is_fenced_and_sent_anew(
    pipeline: Pipeline, books: Books, fault: dict[str, object]
) -> None:
    books.order(fault)
    write_notes(pipeline, 3)
    job = planned(pipeline)
    assert run(pipeline, job).outcomes == {"answered": 3}
    first, second = sends_of(pipeline, job)
    assert (first.end, first.remote_id) == ("void", None)
    assert first.fenced_at is not None
    assert second.end == "collected"
    assert len(books.paid) == 1


def test_a_post_that_comes_after_the_fence_executes_nothing(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(create_wait_seconds=0.1)
    books.order({"kind": "request_late", "on": "batches.create", "seconds": 2})
    write_notes(pipeline, 3)
    job = planned(pipeline)

    def post() -> None:
        submit_job(pipeline, job.job_id)

    late = threading.Thread(target=post)
    late.start()
    books.wait_until_struck()
    state = run(pipeline, job)
    late.join()
    assert state.outcomes == {"answered": 3}
    assert books.lines_executed == 3


def test_nothing_is_created_while_the_listing_fails(pipeline: Pipeline, books: Books) -> None:
    books.order(
        {"kind": "request_lost", "on": "batches.create"},
        {"kind": "status", "on": "batches.list", "status": 404, "body": "gone fishing", "times": 3},
    )
    write_notes(pipeline, 1)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    for _ in range(3):
        turn = submit_job(pipeline, job.job_id)
        assert isinstance(turn.stopped, ProviderUnreachable)
        assert books.batches == []
    assert run(pipeline, job).outcomes == {"answered": 1}
    assert len(books.paid) == 1


@pytest.mark.parametrize(("status", "says"), [(401, "OPENAI_API_KEY|Check"), (403, "permissions")])
def test_a_refused_key_stops_the_run_and_creates_nothing(
    pipeline: Pipeline, books: Books, status: int, says: str
) -> None:
    books.order({"kind": "status", "on": "files.create", "status": status, "code": "invalid_api_key", "times": None})
    write_notes(pipeline, 2)
    job = planned(pipeline)
    turn = submit_job(pipeline, job.job_id)
    assert isinstance(turn.stopped, ProviderRefused)
    assert books.batches == []
    books.order()
    assert run(pipeline, job).outcomes == {"answered": 2}


def test_a_refusal_for_now_waits_and_burns_no_attempt(pipeline: Pipeline, books: Books) -> None:
    books.order({"kind": "status", "on": "batches.create", "status": 429, "message": "Too many batches."})
    write_notes(pipeline, 1)
    job = planned(pipeline)
    assert "Too many batches" in submit_job(pipeline, job.job_id).not_yet[f"{job.job_id}-0000"]
    assert "goes again by itself" in submit_job(pipeline, job.job_id).not_yet[f"{job.job_id}-0000"]
    assert books.batches == []
    _wait_no_longer(pipeline, f"{job.job_id}-0000")
    state = run(pipeline, job)
    assert (state.outcomes, state.attempts) == ({"answered": 1}, 1)


def test_the_local_server_not_running_is_said_with_the_way_out(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline(local_url="http://127.0.0.1:9/v1")
    write_notes(pipeline, 1)
    job = planned(pipeline)
    turn = submit_job(pipeline, job.job_id)
    assert isinstance(turn.stopped, ProviderUnreachable)
    assert "batch-pipeline local-server" in str(turn.stopped)


def test_a_missing_key_is_said_before_anything_is_sent(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, 1)
    job = planned(pipeline, provider="openai")
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        submit_job(pipeline, job.job_id)


def test_two_processes_that_submit_at_once_create_one_batch(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipelines = [make_pipeline() for _ in range(4)]
    write_notes(pipelines[0], 5)
    job = planned(pipelines[0])
    threads = [threading.Thread(target=submit, args=(pipeline, "local")) for pipeline in pipelines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run(pipelines[0], job).outcomes == {"answered": 5}
    assert len(books.paid) == 1


@pytest.mark.parametrize("other", [{"OPENAI_API_KEY": "two"}, {"OPENAI_PROJECT_ID": "proj_two"}])
@pytest.mark.parametrize("fault", ["reply_lost", "request_lost"])
def test_a_batch_sent_with_another_key_is_left_alone_and_the_account_is_named(
    make_pipeline: Callable[..., Pipeline], books: Books, other: dict[str, object], fault: str
) -> None:
    """The other project's listing is 200 and empty, and proves nothing."""
    ours = make_pipeline(OPENAI_API_KEY="one", OPENAI_BASE_URL=books.url)
    theirs = make_pipeline(**{"OPENAI_API_KEY": "one", "OPENAI_BASE_URL": books.url, **other})
    books.order({"kind": fault, "on": "batches.create"})
    write_notes(ours, 2)
    job = planned(ours, provider="openai")
    submit_job(ours, job.job_id)
    (send,) = sends_of(ours, job)
    before = len(books.batches)
    books.order({"kind": "listing_empty", "times": 3})
    for _ in range(3):
        why = submit_job(theirs, job.job_id).not_yet[f"{job.job_id}-0000"]
        assert f"another key or base URL (account {send.account}, now it is " in why
        take_turn(theirs, job.job_id)
    assert (len(books.batches), sends_of(ours, job)) == (before, [send])
    books.order()
    assert run(ours, job).outcomes == {"answered": 2}
    assert (len(books.paid), books.lines_executed) == (1, 2)


def test_a_claim_that_was_never_posted_goes_with_another_url(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    nowhere = make_pipeline(local_url="http://127.0.0.1:9/v1")
    write_notes(nowhere, 2)
    job = planned(nowhere)
    submit_job(nowhere, job.job_id)
    here = make_pipeline()
    assert run(here, job).outcomes == {"answered": 2}
    assert [send.end for send in sends_of(here, job)] == ["void", "collected"]
    assert len(books.batches) == 1


def test_a_server_that_drops_metadata_is_asked_by_the_input_file(pipeline: Pipeline, books: Books) -> None:
    books.order({"kind": "metadata_dropped"}, {"kind": "reply_lost", "on": "batches.create"})
    write_notes(pipeline, 2)
    job = planned(pipeline)
    assert run(pipeline, job).outcomes == {"answered": 2}
    assert len(books.batches) == 1


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_deletes_no_files_is_waited_for_longer(pipeline: Pipeline, books: Books, status: int) -> None:
    books.order(
        {"kind": "request_lost", "on": "batches.create"},
        {"kind": "status", "on": "files.delete", "status": status, "body": "no such route", "times": None},
    )
    write_notes(pipeline, 2)
    job = planned(pipeline)
    assert run(pipeline, job).outcomes == {"answered": 2}
    assert len(books.paid) == 1


def test_where_nothing_can_be_fenced_and_much_is_at_stake_a_person_decides(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(OPENAI_API_KEY="k", OPENAI_BASE_URL=books.url, hold_above_usd=0.0)
    books.order(
        {"kind": "request_lost", "on": "batches.create"},
        {"kind": "status", "on": "files.delete", "status": 405, "times": None},
    )
    write_notes(pipeline, 2)
    job = planned(pipeline, provider="openai")
    state = run(pipeline, job)
    assert state.state == "held"
    assert books.batches == []


def test_a_file_that_was_changed_after_planning_is_not_sent(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 2)
    job = planned(pipeline)
    path = pipeline.folder(job.job_id).requests(0)
    path.write_bytes(path.read_bytes().replace(b"note", b"goat"))
    turn = submit_job(pipeline, job.job_id)
    assert "not as it was planned" in turn.not_yet[f"{job.job_id}-0000"]
    assert not isinstance(turn.stopped, DamagedFile)
    assert books.batches == []


def told(pipeline: Pipeline, job: Job) -> list[str]:
    with pipeline.ledger.read() as db:
        return [event.event for event in events.of_job(db, job.job_id)]


def _wait_no_longer(pipeline: Pipeline, batch_id: str) -> None:
    with pipeline.ledger.begin() as db:
        batches.write(db, batches.get(db, batch_id), wait_until=0.0)
