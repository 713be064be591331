"""The whole chain at Anthropic: no file, no metadata, no fence, and each batch is created once all the same."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_pipeline.batches import points
from batch_pipeline.batches.cancel import cancel
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import limits_of
from batch_pipeline.batches.resolve import adopt, question
from batch_pipeline.batches.standing.status import status
from batch_pipeline.batches.submit import submit
from batch_pipeline.batches.turn import submit_job, take_turn
from batch_pipeline.errors import ProviderRefused, ProviderUnreachable, UsageError
from batch_pipeline.ledger import jobs
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline.providers.anthropic import AnthropicProvider
from batch_pipeline.providers.base import Created
from batch_pipeline.providers.inline import InlineRequests
from batch_pipeline.settings import Settings
from batch_pipeline.tasks import BatchTask
from batch_pipeline.tasks.content import Content, Document, Text
from batch_pipeline.tasks.task import Record
from batch_pipeline.wire.batch import BatchObject
from batch_pipeline.wire.messages import MESSAGES
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
from batch_pipeline_tests.local_server.test_messages import pdf
from batch_pipeline_tests.processes import processes

Make = Callable[..., Pipeline]

MODEL = "claude-haiku-5-5"
RUNS: dict[str, object] = {"kind": "slow", "stage": "in_progress", "seconds": 0.6}
"""A batch that takes its time, and names nobody meanwhile."""


@pytest.fixture
def make(make_pipeline: Make, server: RunningServer) -> Make:
    """Makes a pipeline at the server, which speaks Anthropic's protocol too."""

    def made(**settings: object) -> Pipeline:
        return make_pipeline(**(environment(server) | settings))

    return made


@pytest.fixture
def pipeline(make: Make) -> Pipeline:
    return make()


def environment(server: RunningServer) -> dict[str, object]:
    at = {"ANTHROPIC_API_KEY": "sk-ant-one", "ANTHROPIC_BASE_URL": server.root}
    return {**at, "provider": "anthropic", "missing_recheck_seconds": 0.0}


def sent_late(pipeline: Pipeline, books: Books, *faults: dict[str, object], records: int = 3) -> Job:
    """A job whose create met these faults."""
    books.order(*faults)
    write_notes(pipeline, records)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    return job


def turns(pipeline: Pipeline, job: Job, reached: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        take_turn(pipeline, job.job_id)


def why_not(pipeline: Pipeline, job: Job) -> str:
    return submit_job(pipeline, job.job_id).not_yet[f"{job.job_id}-0000"]


class TestTheChain:
    def test_records_become_answers_and_the_cost_is_that_of_the_batch(self, pipeline: Pipeline, books: Books) -> None:
        write_notes(pipeline, 5)
        job = planned(pipeline)
        assert (job.provider, job.model) == ("anthropic", MODEL)
        state = run(pipeline, job)
        assert state.outcomes == {"answered": 5}
        assert set(answers(pipeline)) == {f"note-{n}" for n in range(5)}
        accounted(pipeline, [job])
        (batch,) = batches_of(pipeline, job)
        (booked,) = books.batches
        price = pipeline.prices.tariff("anthropic", MODEL).paid
        billed = [[booked[kind]] for kind in ("input_tokens", "cached_tokens", "output_tokens")]
        assert batch.cost_usd == pytest.approx(price.costs(*billed)[0])  # pyright: ignore[reportArgumentType] - counts
        assert 0 < (batch.cost_usd or 0) < batch.bound_usd

    def test_each_request_carries_the_claim_and_the_plan_stays_as_it_was(
        self, pipeline: Pipeline, books: Books
    ) -> None:
        write_notes(pipeline, 2)
        job = planned(pipeline)
        path = pipeline.folder(job.job_id).requests(0)
        before = path.read_bytes()
        run(pipeline, job)
        (send,) = sends_of(pipeline, job)
        (booked,) = books.batches
        assert booked["metadata"] == {"custom_id": f"{send.claim[:8]}-note-0"}
        assert (booked["input_sha256"], send.file_id) == (send.sent_sha256, None)
        assert path.read_bytes() == before
        raw = pipeline.folder(job.job_id).output(0).read_text()
        assert f'"{send.claim[:8]}-note-1"' in raw  # the provider's own words
        assert query(pipeline, "SELECT custom_id FROM batch_results ORDER BY 1") == [("note-0",), ("note-1",)]

    def test_a_large_job_is_split_at_the_providers_own_limits(self, make: Make) -> None:
        limits = limits_of(make(), mood.snapshot("anthropic", MODEL))
        assert limits.max_requests == 100_000
        assert 254_000_000 < limits.max_bytes < 256_000_000
        at_openai = limits_of(make(max_requests=99_999), mood.snapshot("openai", "gpt-6-luna"))
        assert (at_openai.max_requests, at_openai.max_bytes) == (50_000, 209_715_200)

    def test_rows_become_outcomes(self, pipeline: Pipeline, books: Books) -> None:
        books.order(
            {"kind": "rows", "status": 400, "custom_id": "*-note-0"},
            {"kind": "rows", "status": 529, "custom_id": "*-note-1"},
            {"kind": "truncated", "custom_id": "*-note-2"},
            {"kind": "refusal", "custom_id": "*-note-3"},
            {"kind": "prose", "custom_id": "*-note-4"},
        )
        write_notes(pipeline, 6)
        job = planned(pipeline)
        state = run(pipeline, job)
        assert state.outcomes == {"answered": 4, "failed": 1, "refused": 1}
        first = query(pipeline, f"SELECT record_id, status FROM batch_items WHERE job_id = '{job.job_id}' ORDER BY 1")
        outcomes = ["failed", "retryable", "truncated", "refused", "invalid", "answered"]
        assert first == [(f"note-{n}", outcome) for n, outcome in enumerate(outcomes)]
        with pipeline.ledger.read() as db:
            again = jobs.attempts(db, job.job_id)[1]
        line = next(
            line for line in pipeline.folder(again.job_id).requests(0).read_bytes().splitlines() if b"note-2" in line
        )
        assert b'"max_tokens":40' in line

    @pytest.mark.parametrize("damage", ["garbled", "missing", "doubled", "foreign", "shuffled"])
    def test_damaged_results_lose_nothing(self, pipeline: Pipeline, books: Books, damage: str) -> None:
        books.order({"kind": "lines", "damage": damage, "every": 2})
        write_notes(pipeline, 4)
        job = planned(pipeline)
        assert run(pipeline, job).outcomes == {"answered": 4}
        accounted(pipeline, [job])

    def test_a_download_that_is_cut_off_is_asked_for_again(self, pipeline: Pipeline, books: Books) -> None:
        books.order({"kind": "content_cut", "share": 0.5})
        write_notes(pipeline, 4)
        job = planned(pipeline)
        with pytest.raises(ProviderUnreachable, match="came cut off"):
            run(pipeline, job)
        state = run(pipeline, job)
        assert (state.outcomes, state.attempts) == ({"answered": 4}, 1)

    def test_an_expired_batch_keeps_what_was_answered_and_the_rest_goes_again(
        self, pipeline: Pipeline, books: Books
    ) -> None:
        books.order({"kind": "expire", "after": 2})
        write_notes(pipeline, 5)
        job = planned(pipeline)
        state = run(pipeline, job)
        assert (state.outcomes, state.attempts) == ({"answered": 5}, 2)
        assert [batch["lines_executed"] for batch in books.batches] == [2, 3]

    def test_a_cancelled_job_keeps_what_was_answered(self, make: Make, tmp_path: Path) -> None:
        with start(LocalServerOptions(port=0, state_dir=tmp_path / "slow", seconds=20.0)) as slow:
            pipeline, books = make(ANTHROPIC_BASE_URL=slow.root), Books(slow)
            write_notes(pipeline, 10)
            job = planned(pipeline)
            submit_job(pipeline, job.job_id)
            while not books.lines_executed:
                time.sleep(0.01)
            cancel(pipeline, job.job_id)
            state = run(pipeline, job)
            answered = state.outcomes["answered"]
            assert state.outcomes == {"answered": answered, "cancelled": 10 - answered}
            assert books.lines_executed == answered
        accounted(pipeline, [job])

    def test_a_budget_holds_a_batch_back(self, make: Make, books: Books) -> None:
        tight = make(budget_job_usd=0.0)
        write_notes(tight, 2)
        job = planned(tight)
        assert "budget" in why_not(tight, job)
        assert books.batches == []
        assert run(make(), job).outcomes == {"answered": 2}

    def test_batches_are_deleted_at_the_provider_where_that_is_set(self, make: Make, books: Books) -> None:
        pipeline = make(delete_remote_files=True)
        write_notes(pipeline, 2)
        job = planned(pipeline)
        assert run(pipeline, job).outcomes == {"answered": 2}
        (send,) = sends_of(pipeline, job)
        assert pipeline.provider("anthropic").get(send.remote_id or "") is None
        assert books.lines_executed == 2

    def test_citations_stand_beside_the_answer(self, pipeline: Pipeline) -> None:
        task = BatchTask(
            name="cited", records="FROM notes", prompt="{text}", answer=str, citations=True, partitions=None
        )
        write_notes(pipeline, 1)
        job = planned(pipeline, task)
        assert run(pipeline, job).outcomes == {"answered": 1}
        ((answer, citations),) = query(pipeline, "SELECT answer, citations FROM cited_latest")
        assert str(answer).startswith("A simulated answer")
        assert citations == []

    def test_a_documents_own_citations_become_columns(self, pipeline: Pipeline) -> None:
        task = BatchTask(
            name="cited", records="FROM notes", prompt=_question, answer=str, citations=True, partitions=None
        )
        write_notes(pipeline, 2)
        job = planned(pipeline, task)
        assert run(pipeline, job).outcomes == {"answered": 2}
        rows = query(pipeline, "SELECT citations FROM cited_latest")
        quote = {"page": 1, "quote": "one two three four five six seven eight"}
        assert rows == [([quote],), ([quote],)]

    def test_tokens_written_to_the_cache_are_priced_as_such(self, pipeline: Pipeline) -> None:
        paid = pipeline.prices.tariff("anthropic", "claude-sonnet-4-5").paid
        plain, written = paid.cost(1_000, 0, 10), paid.cost(1_000, 0, 10, 900)
        read = paid.cost(1_000, 900, 10)
        assert read < plain < written


class TestALostReply:
    @pytest.mark.parametrize("lost", [1, 3])
    def test_the_batch_is_adopted_once_its_results_name_its_claim(
        self, pipeline: Pipeline, books: Books, lost: int
    ) -> None:
        job = sent_late(pipeline, books, {"kind": "reply_lost", "on": "batches.create", "times": lost}, RUNS)
        (booked,) = books.batches
        assert f"one of these may be it, which only its results will say: {booked['batch_id']}" in why_not(
            pipeline, job
        )
        assert run(pipeline, job).outcomes == {"answered": 3}
        assert len(books.batches) == 1
        assert books.lines_executed == 3

    def test_what_never_arrived_is_sent_anew_after_the_wait(self, pipeline: Pipeline, books: Books) -> None:
        job = sent_late(pipeline, books, {"kind": "request_lost", "on": "batches.create"})
        assert run(pipeline, job).outcomes == {"answered": 3}
        first, second = sends_of(pipeline, job)
        assert (first.end, second.end, len(books.batches)) == ("void", "collected", 1)
        assert first.claim[:8] != second.claim[:8]

    def test_nothing_is_sent_anew_before_six_times_the_wait(self, make: Make, books: Books) -> None:
        pipeline = make(create_wait_seconds=0.5)
        began = time.monotonic()
        job = sent_late(pipeline, books, {"kind": "request_lost", "on": "batches.create"})
        turns(pipeline, job, lambda: len(sends_of(pipeline, job)) > 1)
        assert time.monotonic() - began > 3.0

    def test_above_a_sum_a_person_decides(self, make: Make, books: Books) -> None:
        pipeline = make(hold_above_usd=0.0)
        job = sent_late(pipeline, books, {"kind": "request_lost", "on": "batches.create"})
        assert run(pipeline, job).state == "held"
        (send,) = sends_of(pipeline, job)
        assert send.claim in (send.held or "")
        asked = question(pipeline, f"{job.job_id}-0000")
        assert (asked.claim, asked.filename, asked.requests) == (send.claim, None, 3)
        assert books.batches == []

    def test_a_refusal_is_no_lost_reply(self, pipeline: Pipeline, books: Books) -> None:
        books.order({"kind": "status", "on": "batches.create", "status": 429, "message": "Too many."})
        write_notes(pipeline, 1)
        job = planned(pipeline)
        assert "Too many." in why_not(pipeline, job)
        assert [send.end for send in sends_of(pipeline, job)] == ["refused"]

    @pytest.mark.parametrize("code", [401, 402])
    def test_a_refused_key_or_account_stops_the_run(self, pipeline: Pipeline, books: Books, code: int) -> None:
        books.order({"kind": "status", "on": "batches.create", "status": code, "times": None})
        write_notes(pipeline, 1)
        job = planned(pipeline)
        assert isinstance(submit_job(pipeline, job.job_id).stopped, ProviderRefused)
        assert books.batches == []


class TestAnothersBatches:
    """Another program with the same key makes batches of the same size."""

    def test_they_hold_ours_until_their_results_name_another(
        self, pipeline: Pipeline, books: Books, tmp_path: Path
    ) -> None:
        job = sent_late(pipeline, books, {"kind": "request_lost", "on": "batches.create"}, RUNS | {"seconds": 2.0})
        theirs = another_batch(pipeline, tmp_path, "feedfacefeedface")
        assert theirs in why_not(pipeline, job)
        for _ in range(5):
            take_turn(pipeline, job.job_id)
        assert [send.end for send in sends_of(pipeline, job)] == [None]
        assert run(pipeline, job).outcomes == {"answered": 3}
        assert [send.end for send in sends_of(pipeline, job)] == ["void", "collected"]
        ours = [batch for batch in books.paid if batch["batch_id"] != theirs]
        assert len(ours) == 1

    def test_ours_is_told_from_theirs(self, pipeline: Pipeline, books: Books, tmp_path: Path) -> None:
        job = sent_late(pipeline, books, {"kind": "reply_lost", "on": "batches.create"}, RUNS)
        another_batch(pipeline, tmp_path, "feedfacefeedface")
        assert run(pipeline, job).outcomes == {"answered": 3}
        (send,) = sends_of(pipeline, job)
        assert send.remote_id == books.batches[0]["batch_id"]
        assert len(books.paid) == 2

    def test_one_of_another_size_holds_nothing(self, pipeline: Pipeline, books: Books, tmp_path: Path) -> None:
        job = sent_late(
            pipeline, books, {"kind": "request_lost", "on": "batches.create"}, RUNS | {"seconds": 30.0}, records=3
        )
        another_batch(pipeline, tmp_path, "feedfacefeedface", requests=4)
        assert run(pipeline, job).outcomes == {"answered": 3}

    def test_a_person_can_adopt_ours_and_not_theirs(self, make: Make, books: Books, tmp_path: Path) -> None:
        pipeline = make(hold_above_usd=0.0)
        job = sent_late(
            pipeline,
            books,
            {"kind": "reply_lost", "on": "batches.create"},
            {"kind": "listing_empty", "times": None},
        )
        theirs = another_batch(pipeline, tmp_path, "feedfacefeedface")
        assert run(pipeline, job).state == "held"
        turns(pipeline, job, lambda: pipeline.provider("anthropic").claim_of(remote(pipeline, theirs)) is not None)
        with pytest.raises(UsageError, match="is another batch"):
            adopt(pipeline, f"{job.job_id}-0000", theirs)
        adopt(pipeline, f"{job.job_id}-0000", str(books.batches[0]["batch_id"]))
        assert run(pipeline, job).outcomes == {"answered": 3}


class TestAProcessThatDies:
    def test_killed_between_the_post_and_the_reply_its_batch_is_adopted(
        self, pipeline: Pipeline, books: Books, server: RunningServer
    ) -> None:
        books.order({"kind": "reply_late", "on": "batches.create", "seconds": 3.0})
        write_notes(pipeline, 3)
        job = planned(pipeline)
        dying = processes.Process(target=_submit, args=(settings_of(pipeline, server), job.job_id))
        dying.start()
        books.wait_until_struck()
        dying.kill()
        dying.join()
        assert run(pipeline, job).outcomes == {"answered": 3}
        assert len(books.batches) == 1

    def test_stopped_before_the_post_for_less_than_the_wait_it_sends_the_only_one(
        self, make: Make, books: Books, server: RunningServer
    ) -> None:
        pipeline = make(create_wait_seconds=5.0)
        write_notes(pipeline, 3)
        job = planned(pipeline)
        stopped = processes.Process(target=_submit_and_stop, args=(settings_of(pipeline, server), job.job_id))
        stopped.start()
        while not any(send.posted_at for send in sends_of(pipeline, job)):
            time.sleep(0.01)
        for _ in range(3):
            assert "not in the listing" in why_not(pipeline, job)
        os.kill(stopped.pid or 0, signal.SIGCONT)
        stopped.join()
        assert run(pipeline, job).outcomes == {"answered": 3}
        assert len(books.batches) == 1

    def test_a_ledger_that_was_lost_finds_its_batch_again(self, make: Make, books: Books) -> None:
        pipeline = make()
        job = sent_late(pipeline, books, RUNS)
        pipeline.ledger.close()
        for path in pipeline.data_dir.glob("ledger.db*"):
            path.unlink()
        after = make()
        submit(after, "anthropic")
        assert run(after, job).outcomes == {"answered": 3}
        assert status(after, job.job_id).attempts == 1
        assert len(books.batches) == 1


def _question(record: Record) -> Content:
    words = "one two three four five six seven eight nine ten"
    return [Document(pdf(words), f"{record['record_id']}.pdf", [words]), Text("What does it say?")]


def another_batch(pipeline: Pipeline, folder: Path, claim: str, requests: int = 3) -> str:
    """A batch of somebody who has the same key; its id."""
    provider = AnthropicProvider(pipeline.settings.anthropic_base_url, "sk-ant-one", 0.0, 0.0)
    params = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"?"}]}'
    path = folder / "theirs.jsonl"
    path.write_bytes(b"".join(b'{"custom_id":"t%d","params":%b}\n' % (n, params) for n in range(requests)))
    made = provider.create(InlineRequests(path, claim), MESSAGES, {})
    provider.close()
    assert isinstance(made, Created)
    return made.batch.id


def remote(pipeline: Pipeline, remote_id: str) -> BatchObject:
    found = pipeline.provider("anthropic").get(remote_id)
    assert found is not None
    return found


def settings_of(pipeline: Pipeline, server: RunningServer) -> dict[str, object]:
    kept = {"data_dir": pipeline.data_dir, "create_wait_seconds": pipeline.settings.create_wait_seconds}
    return environment(server) | kept


def _submit(settings: dict[str, object], job_id: str) -> None:
    submit_job(Pipeline(Settings.model_validate(settings)), job_id)


def _submit_and_stop(settings: dict[str, object], job_id: str) -> None:
    def stop(point: str) -> None:
        if point == "send.posted_recorded":
            os.kill(os.getpid(), signal.SIGSTOP)

    points.hook = stop
    _submit(settings, job_id)
