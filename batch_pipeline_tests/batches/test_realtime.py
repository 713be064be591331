"""A job that is answered at once: the same plan, money, outcomes and tables as by batch, and nothing paid twice."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from batch_pipeline.batches import asked_at_once
from batch_pipeline.batches.cancel import cancel
from batch_pipeline.batches.doctor import doctor
from batch_pipeline.batches.dry_run import dry_run
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.prune import prune
from batch_pipeline.batches.standing.cost import cost_of
from batch_pipeline.batches.standing.status import status
from batch_pipeline.batches.turn import place, submit_job
from batch_pipeline.errors import UsageError
from batch_pipeline.ledger.budgets import queued_tokens
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.local_server import RunningServer
from batch_pipeline.settings import Settings
from batch_pipeline.tasks import BatchTask
from batch_pipeline_tests.batches.chain import (
    accounted,
    answers,
    batches_of,
    mood,
    planned,
    query,
    run,
    sends_of,
    write_notes,
)
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.endpoint import Endpoint, Said, endpoint, glad
from batch_pipeline_tests.processes import processes

Make = Callable[..., Pipeline]
Body = dict[str, Any]

REPLY = BatchTask(
    name="reply", records="FROM notes", prompt="{text}", answer=str, endpoint="responses", partitions=None
)
NEAR = BatchTask(
    name="near", records="FROM notes", prompt="{text}", answer=list[float], endpoint="embeddings", partitions=None
)
RESULTS = "SELECT custom_id, outcome, http_status, input_tokens, output_tokens, response_text FROM batch_results"


@pytest.fixture
def paid(make_pipeline: Make) -> Make:
    """Makes a pipeline at a server that costs money."""

    def made(url: str, **settings: object) -> Pipeline:
        return make_pipeline(OPENAI_API_KEY="k", OPENAI_BASE_URL=url, provider="openai", **settings)

    return made


def text_of(body: Body) -> str:
    return body["messages"][-1]["content"]


def at_once(pipeline: Pipeline, task: BatchTask = mood, mode: str = "realtime") -> Job:
    return planned(pipeline, task, mode=mode)


@pytest.mark.parametrize("task", [mood, REPLY, NEAR], ids=lambda task: task.name)
def test_the_table_is_that_of_a_batch(make_pipeline: Make, tmp_path: Path, books: Books, task: BatchTask) -> None:
    by_batch, realtime = make_pipeline(data_dir=tmp_path / "a"), make_pipeline(data_dir=tmp_path / "b")
    told: list[object] = []
    for pipeline, mode in ((by_batch, "batch"), (realtime, "realtime")):
        write_notes(pipeline, 5)
        job = planned(pipeline, task, mode=mode)
        assert run(pipeline, job).outcomes == {"answered": 5}
        accounted(pipeline, [job])
        columns = "* EXCLUDE (job_id, batch_id, answered_at)"
        rows = query(pipeline, f"SELECT {columns} FROM {task.name} ORDER BY record_id")
        told.append((rows, sorted(query(pipeline, RESULTS))))
    assert told[0] == told[1]
    assert len(books.batches) == 1


def test_at_anthropic_too(make_pipeline: Make, server: RunningServer, books: Books) -> None:
    at = {"ANTHROPIC_API_KEY": "sk-ant-one", "ANTHROPIC_BASE_URL": server.root}
    pipeline = make_pipeline(provider="anthropic", missing_recheck_seconds=0.0, **at)
    write_notes(pipeline, 5)
    job = at_once(pipeline)
    assert run(pipeline, job).outcomes == {"answered": 5}
    assert len(answers(pipeline)) == 5
    assert books.batches == []
    rates = pipeline.prices.tariff("anthropic", job.model, "realtime").paid.base
    (row,) = query(pipeline, "SELECT sum(input_tokens), sum(output_tokens), sum(cost_usd) FROM batch_results")
    read, written, usd = (float(str(one)) for one in row)
    assert usd == pytest.approx(read * rates.input + written * rates.output)


@pytest.mark.parametrize("mode", ["realtime", "flex"])
def test_what_it_costs_is_the_price_of_its_mode(paid: Make, mode: str) -> None:
    with endpoint() as there:
        pipeline = paid(there.url)
        write_notes(pipeline, 3)
        expected = dry_run(pipeline, Order(mood, mode=mode))  # pyright: ignore[reportArgumentType] - a mode
        job = at_once(pipeline, mode=mode)
        state = run(pipeline, job)
    tariff = pipeline.prices.tariff("openai", "gpt-6-luna")
    price = tariff.realtime if mode == "realtime" else tariff.flex
    assert state.cost_usd == pytest.approx(3 * price.cost(100, 0, 10))
    assert expected.job.bound_usd == pytest.approx(job.bound_usd)
    assert state.cost_usd <= job.bound_usd
    assert (tariff.realtime.base.input > price.base.input) == (mode == "flex")
    assert query(pipeline, "SELECT round(sum(cost_usd), 9) FROM batch_results") == [(round(state.cost_usd, 9),)]
    assert state.mode == mode
    assert cost_of(pipeline, job.job_id).agrees
    planned_bodies = [json.loads(line)["body"] for line in _requests(pipeline, job)]
    flex = {"service_tier": "flex"} if mode == "flex" else {}
    assert sorted(map(text_of, planned_bodies)) == sorted(map(text_of, there.bodies))
    assert all(body == planned_bodies[0] | {"messages": body["messages"]} | flex for body in there.bodies)
    assert all("service_tier" not in body for body in planned_bodies)


def _requests(pipeline: Pipeline, job: Job) -> list[bytes]:
    return pipeline.folder(job.job_id).requests(0).read_bytes().splitlines()


@pytest.mark.parametrize(("provider", "task"), [("local", mood), ("anthropic", mood), ("openai", NEAR)])
def test_flex_is_refused_where_there_is_none(pipeline: Pipeline, provider: str, task: BatchTask) -> None:
    with pytest.raises(UsageError, match="no flex processing"):
        planned(pipeline, task, provider=provider, mode="flex")


def test_no_more_are_on_their_way_than_may_be(paid: Make) -> None:
    with endpoint(held=True) as there:
        pipeline = paid(there.url, realtime_concurrency=3)
        write_notes(pipeline, 10)
        job = at_once(pipeline)
        with under_way(pipeline, job):
            there.wait_for(3)
            there.go.set()
        assert (there.most, len(there.bodies)) == (3, 10)
    assert run(pipeline, job).outcomes == {"answered": 10}


@contextmanager
def under_way(pipeline: Pipeline, job: Job) -> Generator[None]:
    """The job is being answered while the block runs, and has been at its end."""
    thread = threading.Thread(target=submit_job, args=[pipeline, job.job_id])
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
        assert not thread.is_alive()


class TestKilledInTheMiddle:
    def test_what_was_answered_is_not_asked_again(self, paid: Make) -> None:
        with killed_after(2, paid) as (there, pipeline, job):
            assert status(pipeline, job.job_id).state == "in_flight"
            with pipeline.ledger.read() as db:  # the queue of batches is not filled by it
                assert queued_tokens(db, pipeline.provider("openai").account, job.model) == 0
            torn = pipeline.folder(job.job_id).answers(0)
            torn.write_bytes(torn.read_bytes() + b'{"id": "at_once_note-5", "custom_id": "note-')
            assert run(pipeline, job).outcomes == {"answered": 6}
            assert len(there.bodies) == 6 + 2
            assert query(pipeline, "SELECT count(*), count(DISTINCT custom_id) FROM batch_results") == [(6, 6)]

    def test_neither_with_a_ledger_that_is_lost(self, paid: Make) -> None:
        with killed_after(2, paid) as (there, pipeline, job):
            for path in pipeline.data_dir.glob("ledger.db*"):
                path.unlink()
            fresh = paid(there.url, realtime_concurrency=2)
            assert (
                place(fresh, Order(mood, mode="realtime")).job.requests == 0
            )  # the records wait for the job of before
            assert run(fresh, job).outcomes == {"answered": 6}
            assert len(there.bodies) == 6 + 2

    def test_once_its_output_is_in_place_nothing_is_asked(self, paid: Make) -> None:
        with killed_after(2, paid) as (there, pipeline, job):
            folder = pipeline.folder(job.job_id)
            folder.answers(0).rename(folder.output(0))
            submit_job(pipeline, job.job_id)
            assert len(there.bodies) == 4
            (batch,) = batches_of(pipeline, job)
            assert (batch.completed, batch.remote_status) == (2, "completed")

    def test_a_plan_that_is_another_one_is_not_gone_on_with(self, paid: Make) -> None:
        with killed_after(2, paid) as (there, pipeline, job):
            pipeline.folder(job.job_id).requests(0).write_bytes(b"")
            assert "not as it was planned" in submit_job(pipeline, job.job_id).not_yet[f"{job.job_id}-0000"]
            assert len(there.bodies) == 4


@contextmanager
def killed_after(count: int, paid: Make) -> Generator[tuple[Endpoint, Pipeline, Job]]:
    """Six notes, of which so many are answered on the disk, and two on their way, when the process is killed."""
    gate = threading.Event()
    come = iter(range(100))

    def say(body: Body) -> Said:
        if next(come) >= count:
            gate.wait(30)
        return glad(body)

    with endpoint(say) as there:
        pipeline = paid(there.url, realtime_concurrency=2)
        write_notes(pipeline, 6)
        job = at_once(pipeline)
        child = processes.Process(target=_submit, args=[pipeline.settings, job.job_id])
        child.start()
        there.wait_for(count + 2)
        _until(lambda: pipeline.folder(job.job_id).answers(0).read_bytes().count(b"\n") == count)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join(30)
        child.close()
        gate.set()
        yield there, pipeline, job


def _submit(settings: Settings, job_id: str) -> None:
    submit_job(Pipeline(settings), job_id)


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_process_at_a_time(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 2)
    job = at_once(pipeline)
    with FileLock(pipeline.folder(job.job_id).answering(0)):
        assert submit_job(pipeline, job.job_id).not_yet == {f"{job.job_id}-0000": "another process is answering it"}
    assert run(pipeline, job).outcomes == {"answered": 2}
    assert len(sends_of(pipeline, job)) == 1


def test_what_was_answered_before_it_was_cancelled_is_kept(paid: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_at_once, "LOOK_SECONDS", 0.01)
    with endpoint(held=True) as there:
        pipeline = paid(there.url, realtime_concurrency=2)
        write_notes(pipeline, 6)
        job = at_once(pipeline)
        with under_way(pipeline, job):
            there.wait_for(2)
            cancel(pipeline, job.job_id)
            _until(lambda: not _looks(pipeline, job))
            there.go.set()
        state = run(pipeline, job)
        assert (state.state, state.outcomes) == ("cancelled", {"answered": 2, "cancelled": 4})
        assert len(there.bodies) == 2
    accounted(pipeline, [job])


def _looks(pipeline: Pipeline, job: Job) -> bool:
    """Whether the ledger is still told how far it has come: no more, once it is known that it is to stop."""
    before = batches_of(pipeline, job)[0].wait_until
    time.sleep(0.1)
    return batches_of(pipeline, job)[0].wait_until != before


def test_one_that_is_cancelled_while_nobody_answers_it_ends_with_what_there_is(paid: Make) -> None:
    with killed_after(2, paid) as (there, pipeline, job):
        cancel(pipeline, job.job_id)
        assert run(pipeline, job).outcomes == {"answered": 2, "cancelled": 4}
        assert len(there.bodies) == 4


def test_a_rate_limit_that_lasts_goes_again_and_is_given_up_in_the_end(paid: Make) -> None:
    def say(body: Body) -> Said:
        if "number 1" not in text_of(body):
            return glad(body)
        error = {"message": "Slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
        return 429, {"retry-after-ms": "1"}, json.dumps({"error": error}).encode()

    with endpoint(say) as there:
        pipeline = paid(there.url)
        write_notes(pipeline, 3)
        job = at_once(pipeline)
        state = run(pipeline, job)
        assert (state.outcomes, state.attempts) == ({"answered": 2, "retryable": 1}, 3)
        assert len(there.bodies) == 2 + 3 * 3
    accounted(pipeline, [job])
    assert "Slow down" in str(query(pipeline, "SELECT error_message FROM batch_results WHERE outcome = 'retryable'"))


def test_a_refused_key_stops_all_and_gives_nothing_up(paid: Make, books: Books) -> None:
    def refuse(_: Body) -> Said:
        error = {
            "message": "Incorrect API key",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
        return 401, {}, json.dumps({"error": error}).encode()

    says = {"now": refuse}
    with endpoint(lambda body: says["now"](body)) as there:  # noqa: PLW0108 - what it says changes
        pipeline = paid(there.url)
        write_notes(pipeline, 3)
        job = at_once(pipeline)
        sent = submit_job(pipeline, job.job_id)
        assert "Incorrect API key" in str(sent.stopped)
        assert "Incorrect API key" in str(status(pipeline, job.job_id).waits_for)
        says["now"] = glad
        state = run(pipeline, job)
        assert (state.outcomes, state.attempts, state.waits_for) == ({"answered": 3}, 1, None)


def test_a_budget_holds(paid: Make) -> None:
    with endpoint() as there:
        pipeline = paid(there.url, budget_job_usd=1e-9)
        write_notes(pipeline, 3)
        sent = place(pipeline, Order(mood, mode="realtime")).sent
        assert "may spend" in next(iter(sent.not_yet.values()))
        assert there.bodies == []


def test_the_token_queue_does_not_hold_it(make_pipeline: Make, books: Books) -> None:
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 30})
    pipeline = make_pipeline(enqueued_tokens=1_000_000)
    write_notes(pipeline, 2)
    submit_job(pipeline, planned(pipeline).job_id)
    narrow = make_pipeline(enqueued_tokens=1)
    write_notes(narrow, {"other": "something else"})
    assert run(narrow, at_once(narrow)).outcomes == {"answered": 1}


def test_what_is_placed_is_collected_at_once_and_asks_the_provider_for_no_batch(
    make_pipeline: Make, books: Books
) -> None:
    pipeline = make_pipeline(delete_remote_files=True)
    write_notes(pipeline, 4)
    books.order(
        {"kind": "status", "on": ["batches.list", "batches.get", "files.content"], "status": 500, "times": None}
    )
    placed = place(pipeline, Order(mood, mode="realtime", key="mine"))
    assert status(pipeline, placed.job.job_id).state == "done"
    assert len(answers(pipeline)) == 4
    again = place(pipeline, Order(mood, mode="realtime", key="mine"))
    assert again.job.job_id == placed.job.job_id
    assert (books.batches, books.files_kept) == ([], 0)
    books.order()
    assert [found.says for found in doctor(pipeline) if found.level == "problem"] == []
    assert prune(pipeline, -1).jobs == 1
    assert place(pipeline, Order(mood, mode="realtime")).job.records == 0


def test_a_key_is_another_job_in_another_mode(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    first, second = (planned(pipeline, key="mine", mode=mode) for mode in ("batch", "realtime"))
    assert (first.requests, second.requests, second.waiting) == (2, 0, 2)


def test_an_output_that_is_removed_is_lost_and_goes_again_only_on_request(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    job = at_once(pipeline)
    submit_job(pipeline, job.job_id)
    pipeline.folder(job.job_id).output(0).unlink()
    assert run(pipeline, job).outcomes == {"lost": 2}


def test_a_line_that_is_damaged_goes_again_without_waiting_for_it(pipeline: Pipeline) -> None:
    write_notes(pipeline, 3)
    job = at_once(pipeline)
    submit_job(pipeline, job.job_id)
    output = pipeline.folder(job.job_id).output(0)
    output.write_bytes(output.read_bytes().replace(b'{"id":"at_once_note-1"', b"?"))
    state = run(pipeline, job)
    assert (state.outcomes, state.attempts) == ({"answered": 3}, 2)
