"""The same selection, asked for by several processes at once: each request is sent once, and no file is rewritten."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from batch_pipeline.batches.collect import collect
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.retry import retry
from batch_pipeline.batches.standing.due import ASSET
from batch_pipeline.batches.turn import place
from batch_pipeline.ledger import jobs
from batch_pipeline.settings import Settings
from batch_pipeline_tests.batches.chain import accounted, answers, batches_of, mood, planned, run, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.processes import at_once

NOTES = 30
CALLERS: list[dict[str, object]] = [
    {"key": "run 1", "job_type": "task", "metadata": {ASSET: "mood/submission", "run_id": "run 1"}},
    {"key": None, "job_type": "adhoc"},
    {"key": "idempotency key", "job_type": "api"},
]
"""A run of Dagster, the command, and a caller of the REST API."""

File = tuple[int, int, str]


@pytest.fixture
def pipeline(make_pipeline: Callable[..., Pipeline]) -> Pipeline:
    """With notes, and time for each POST to be answered."""
    made = make_pipeline(max_requests=7, create_wait_seconds=60.0)
    write_notes(made, NOTES)
    return made


def files_of(pipeline: Pipeline) -> dict[str, File]:
    """Inode, time of change and hash of every file of the jobs."""
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(pipeline.settings.batches_dir.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def jobs_of(pipeline: Pipeline, job_ids: list[str]) -> list[jobs.Job]:
    with pipeline.ledger.read() as db:
        return [jobs.get(db, job_id) for job_id in dict.fromkeys(job_ids)]


def test_three_callers_with_keys_of_their_own_send_each_request_once(pipeline: Pipeline, books: Books) -> None:
    made = jobs_of(pipeline, at_once(3, partial(place_one, pipeline.settings, CALLERS), pipeline.data_dir))
    before = files_of(pipeline)
    assert len(made) == 3
    assert sum(job.requests for job in made) == NOTES
    assert [job.requests + job.waiting for job in made] == [NOTES] * 3
    assert len(books.batches) == sum(len(batches_of(pipeline, job)) for job in made)
    again = planned(pipeline)  # while all of it is in flight
    assert (again.requests, again.waiting) == (0, NOTES)
    for job in (*made, again):
        assert run(pipeline, job, turns=5000).outcomes == {"answered": NOTES}
    assert books.lines_executed == NOTES == len(answers(pipeline))
    accounted(pipeline, (*made, again))
    assert before.items() <= files_of(pipeline).items()


def test_three_callers_with_one_key_have_one_job(pipeline: Pipeline, books: Books) -> None:
    same = [caller | {"key": "tonight"} for caller in CALLERS]
    (job,) = jobs_of(pipeline, at_once(3, partial(place_one, pipeline.settings, same), pipeline.data_dir))
    before = files_of(pipeline)
    assert job.requests == NOTES
    assert plan(pipeline, Order(mood, key="tonight")).job_id == job.job_id
    assert run(pipeline, job, turns=5000).outcomes == {"answered": NOTES}
    assert plan(pipeline, Order(mood, key="tonight")).job_id == job.job_id
    assert (len(books.batches), books.lines_executed) == (len(batches_of(pipeline, job)), NOTES)
    assert before.items() <= files_of(pipeline).items()


def place_one(settings: Settings, callers: list[dict[str, object]], _folder: Path, number: int) -> str:
    """Plans and sends as one of the callers; gives the job's id."""
    pipeline = Pipeline(settings)
    job = place(pipeline, Order(mood, **callers[number])).job  # pyright: ignore[reportArgumentType] - fields of Order
    pipeline.close()
    return job.job_id


@pytest.mark.parametrize("on_request", [False, True])
def test_two_processes_that_retry_at_once_make_one_attempt(pipeline: Pipeline, books: Books, on_request: bool) -> None:
    books.order({"kind": "rows", "status": 500, "every": 3, "times": 5})
    job = place(pipeline, Order(mood)).job
    while any(batch.collected_at is None for batch in batches_of(pipeline, job)):
        poll(pipeline, "local")
        collect(pipeline, job.job_id)
    executed = books.lines_executed
    before = files_of(pipeline)
    made = at_once(2, partial(retry_one, pipeline.settings, job.job_id, on_request), pipeline.data_dir)
    assert set(made) <= {f"{job.job_id}-again2", None}
    with pipeline.ledger.read() as db:
        attempts = jobs.attempts(db, job.job_id)
    assert [attempt.attempt for attempt in attempts] == [1, 2]
    assert attempts[1].requests == 8
    assert before.items() <= files_of(pipeline).items()
    after = files_of(pipeline)
    assert run(pipeline, job, turns=5000).outcomes == {"answered": NOTES}
    assert (executed, books.lines_executed) == (NOTES, NOTES + 8)
    assert after.items() <= files_of(pipeline).items()


def retry_one(settings: Settings, job_id: str, on_request: bool, _folder: Path, _number: int) -> str | None:
    """The id of the attempt that was made, or found."""
    pipeline = Pipeline(settings)
    attempt = retry(pipeline, job_id, on_request=on_request)
    pipeline.close()
    return attempt and attempt.job_id
