"""Several hosts with a disk each, one ledger and one object storage: whoever comes goes on with what others began."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from batch_pipeline.batches import points
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.prune import prune
from batch_pipeline.batches.recover import recover_all
from batch_pipeline.batches.standing.status import JobStatus, status
from batch_pipeline.batches.submit import submit
from batch_pipeline.batches.turn import submit_job, take_turn, wait_for
from batch_pipeline.errors import FilesUnreachable, PipelineError
from batch_pipeline.ledger import jobs
from batch_pipeline.settings import Settings
from batch_pipeline_tests.batches.apart import killed_at
from batch_pipeline_tests.batches.chain import accounted, answers, batches_of, planned, run, sends_of, write_notes
from batch_pipeline_tests.batches.storage.conftest import Shared
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.scale.postgres import PostgresServer

MakeHost = Callable[..., Pipeline]


@pytest.fixture(autouse=True)
def _no_hook() -> Generator[None]:
    yield
    points.hook = None


def at(point: str, step: Callable[[], object]) -> None:
    """Does something once, when somebody comes to the point."""

    def hook(reached: str) -> None:
        if reached == point:
            points.hook = None
            step()

    points.hook = hook


def prune_all(settings: Settings, shared: Shared) -> None:
    shared.into_environment()
    prune(Pipeline(settings), older_than_days=0)


def test_each_turn_is_taken_by_a_host_that_has_no_file_of_the_job(make_host: MakeHost, books: Books) -> None:
    host = make_host("host", max_requests=2)
    write_notes(host, 4)
    books.order({"kind": "rows", "status": 500, "every": 2})
    job = planned(host)
    for _ in range(400):
        shutil.rmtree(host.data_dir)
        take_turn(host, job.job_id)
        if status(host, job.job_id).final:
            break
    now = status(host, job.job_id)
    assert now.outcomes == {"answered": 4}
    assert now.attempts > 1
    assert len(answers(host)) == 4
    accounted(host, [job])
    assert len(books.batches) == now.attempts + 1


def test_two_hosts_take_turns_at_the_same_jobs_at_once(make_host: MakeHost, books: Books) -> None:
    hosts = [make_host(name, max_requests=1) for name in ("a", "b")]
    write_notes(hosts[0], 6)
    job = planned(hosts[0])
    wrong: list[Exception] = []

    def take(pipeline: Pipeline) -> None:
        try:
            run(pipeline, job)
        except Exception as error:  # noqa: BLE001 - told below
            wrong.append(error)

    threads = [Thread(target=take, args=[host]) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(answers(hosts[1])) == 6
    # one host may take the other's slow reply for a lost one, and its file away: such a batch executes nothing
    assert (len(books.paid), books.lines_executed) == (6, 6)


def test_all_hosts_are_one_pipeline(make_host: MakeHost) -> None:
    found: list[str] = []
    hosts = [make_host(f"host-{number}") for number in range(8)]

    def ask(pipeline: Pipeline) -> None:
        found.append(pipeline.pipeline_id)

    threads = [Thread(target=ask, args=[host]) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == 8


def test_a_host_without_files_rebuilds_a_ledger_that_is_lost(make_host: MakeHost, books: Books, tmp_path: Path) -> None:
    before = make_host("before", max_requests=2)
    write_notes(before, 4)
    sent, kept = planned(before), planned(before, force=True)
    books.order({"kind": "reply_lost", "on": "batches.create"})
    submit_job(before, sent.job_id)
    before.close()
    shutil.rmtree(before.data_dir)
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    after = make_host("after")
    recovered = recover_all(after, "local")
    assert set(recovered.jobs) == {sent.job_id, kept.job_id}
    assert run(after, sent).outcomes == {"answered": 4}
    assert len(books.paid) == 2


def test_markers_of_another_host_come_first(make_host: MakeHost, books: Books, tmp_path: Path) -> None:
    before, after = make_host("before"), make_host("after", ledger_url=f"sqlite:///{tmp_path / 'another.db'}")
    write_notes(before, 3)
    job = planned(before, key="nightly")
    submit_job(before, job.job_id)
    assert planned(after, key="nightly").job_id == job.job_id
    assert run(after, job).outcomes == {"answered": 3}
    assert (len(books.batches), books.lines_executed) == (1, 3)


def test_what_a_host_pruned_is_gone_for_all_and_each_removes_its_copies(make_host: MakeHost) -> None:
    ours, theirs = make_host("ours"), make_host("theirs")
    write_notes(ours, 3)
    job = planned(ours)
    run(theirs, job)
    assert prune(ours, older_than_days=0).jobs == 1
    assert ours.markers.claims() == set()
    assert not ours.folder(job.job_id).path.exists()
    assert not theirs.folder(job.job_id).fetch(theirs.folder(job.job_id).output(0))
    assert theirs.folder(job.job_id).path.exists()
    prune(theirs, older_than_days=0)
    assert not theirs.folder(job.job_id).path.exists()
    assert len(answers(ours)) == 3


def test_a_prune_that_was_killed_is_taken_up_by_another_host(make_host: MakeHost, shared: Shared) -> None:
    ours, theirs = make_host("ours"), make_host("theirs")
    write_notes(ours, 3)
    job = planned(ours)
    run(ours, job)
    killed_at("prune.half", partial(prune_all, ours.settings, shared))
    assert theirs.folder(job.job_id).read_plan() is None
    assert len(theirs.markers.claims()) == 1
    assert prune(theirs, older_than_days=0).jobs == 1
    assert theirs.markers.claims() == set()
    assert not theirs.folder(job.job_id).fetch(theirs.folder(job.job_id).requests(0))


@pytest.mark.parametrize("point", ["plan.inflight_taken", "plan.file_half", "plan.file_renamed"])
@pytest.mark.parametrize("step", ["plans", "submits"])
def test_a_plan_that_another_host_takes_over_or_gives_up_is_planned_and_bought_once(
    make_host: MakeHost, books: Books, point: str, step: str
) -> None:
    """No lock is seen by both: whose plan counts is said by the ledger, and whose files by the storage."""
    ours, theirs = make_host("ours", max_requests=2), make_host("theirs", max_requests=1)
    write_notes(ours, 3)
    between = partial(planned, theirs, key="nightly") if step == "plans" else partial(submit, theirs, "local")
    at(point, between)
    with suppress(PipelineError):
        planned(ours, key="nightly")
    job = planned(ours, key="nightly")
    assert run(theirs, job).outcomes == {"answered": 3}
    accounted(ours, [job])
    with ours.ledger.read() as db:
        assert [each.job_id for each in jobs.newest(db)] == [job.job_id]
    assert {batch.number for batch in batches_of(ours, job)} == set(range(len(books.batches)))
    assert books.lines_executed == 3


def test_what_was_put_and_never_committed_is_not_collected_by(make_host: MakeHost) -> None:
    """An attempt has the id that it had when its plan was given up by another host."""
    ours, theirs = make_host("ours", max_requests=2), make_host("theirs", max_requests=1)
    write_notes(ours, 3)
    at("plan.file_renamed", lambda: submit(theirs, "local"))
    with suppress(PipelineError):
        planned(ours, key="nightly")
    job = planned(theirs, key="nightly")
    assert theirs.files.names(theirs.folder(job.job_id).path).count("requests-0001.jsonl") == 1
    assert run(ours, job).outcomes == {"answered": 3}


def test_without_a_durable_marker_nothing_is_posted(make_host: MakeHost, books: Books, shared: Shared) -> None:
    pipeline = make_host("ours")
    write_notes(pipeline, 3)
    job = planned(pipeline)
    _ = pipeline.pipeline_id
    at("upload.recorded", partial(break_storage, pipeline))
    with pytest.raises(FilesUnreachable, match="The storage"):
        submit_job(pipeline, job.job_id)
    assert books.batches == []
    (send,) = sends_of(pipeline, job)
    assert (send.posted_at, send.end) == (None, None)
    with pytest.raises(FilesUnreachable):
        submit_job(pipeline, job.job_id)
    assert books.batches == []
    after = make_host("after")
    assert run(after, job).outcomes == {"answered": 3}
    assert (len(books.batches), books.lines_executed) == (1, 3)


def break_storage(pipeline: Pipeline) -> None:
    """From now on, this host finds nobody at the address of the storage."""
    from obstore.store import S3Store

    nobody = S3Store(
        "bucket",
        endpoint="http://127.0.0.1:9",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        skip_signature=True,
    )
    pipeline.files.__dict__["_store"] = nobody


def test_whoever_waits_for_a_job_waits_for_its_storage_too(make_host: MakeHost, books: Books) -> None:
    host = make_host("ours")
    write_notes(host, 3)
    job = planned(host)
    break_storage(host)
    turns: list[str | None] = []

    def told(now: JobStatus) -> None:
        turns.append(now.waits_for)
        host.files.__dict__.pop("_store", None)  # it is back

    assert wait_for(host, job.job_id, 0.01, told).outcomes == {"answered": 3}
    assert len(turns) > 1
    assert len(books.batches) == 1
    break_storage(host)
    write_notes(host, 4)
    with pytest.raises(FilesUnreachable):
        wait_for(host, planned(make_host("theirs")).job_id, 0.01)


@pytest.mark.scale
@pytest.mark.parametrize("point", ["plan.inflight_taken", "plan.file_renamed"])
def test_on_postgres_a_plan_that_is_under_way_is_not_taken_for_a_dead_one(
    make_host: MakeHost, postgres: PostgresServer, books: Books, point: str
) -> None:
    url = postgres.new_database()
    ours, theirs = (make_host(name, ledger_url=url) for name in ("ours", "theirs"))
    write_notes(ours, 3)
    at(point, partial(submit, theirs, "local"))
    job = planned(ours, key="nightly")
    assert run(theirs, job).outcomes == {"answered": 3}
    assert books.lines_executed == 3


def test_where_only_the_marker_can_not_be_created_nothing_is_posted(
    make_host: MakeHost, books: Books, shared: Shared
) -> None:
    """The storage lists and reads, and does not write."""
    if not shared.url.startswith("file:"):
        pytest.skip("a folder can be made so, and no bucket")
    pipeline = make_host("ours")
    write_notes(pipeline, 3)
    job = planned(pipeline)
    sends = Path(shared.url.removeprefix("file://")) / "batches" / "sends"
    sends.write_text("in the way")
    with pytest.raises(FilesUnreachable, match="The storage"):
        submit_job(pipeline, job.job_id)
    assert [send.posted_at for send in sends_of(pipeline, job)] == [None]
    assert books.batches == []
    sends.unlink()
    assert run(pipeline, job).outcomes == {"answered": 3}
    assert (len(books.batches), books.lines_executed) == (1, 3)
