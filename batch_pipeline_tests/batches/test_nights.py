"""The same job on many nights: what has no answer is sent so often over all of them, and no more."""

from __future__ import annotations

from collections.abc import Callable

from batch_pipeline.batches.cancel import cancel
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.standing.status import status
from batch_pipeline.batches.turn import submit_job
from batch_pipeline_tests.batches.chain import batches_of, planned, query, run, write_notes
from batch_pipeline_tests.books import Books

NIGHTS = 10
MAX_ATTEMPTS = 3
NEVER_ANSWERED: list[dict[str, object]] = [
    {"kind": "refusal", "custom_id": "refused", "times": None},
    {"kind": "truncated", "custom_id": "truncated", "times": None},
    {"kind": "rows", "status": 500, "custom_id": "failing", "times": None},
    {"kind": "rows", "status": 400, "custom_id": "wrong", "times": None},
    {"kind": "prose", "custom_id": "prose", "times": None},
]
SENT = {"refused": 1, "wrong": 1, "truncated": MAX_ATTEMPTS, "failing": MAX_ATTEMPTS, "prose": MAX_ATTEMPTS}


def notes_of(night: int) -> dict[str, str]:
    """The same notes as ever, and one of this night."""
    return {name: f"the note that is {name}" for name in SENT} | {
        f"night-{n}": f"of night {n}" for n in range(night + 1)
    }


def sent(pipeline: Pipeline) -> dict[str, int]:
    """How often each record that never gets an answer was sent."""
    rows = query(
        pipeline,
        "SELECT record_id, count(DISTINCT batch_id) "
        "FROM request_records JOIN batch_results USING (batch_id, custom_id) "
        "WHERE record_id NOT LIKE 'night%' AND outcome <> 'cancelled' GROUP BY 1",
    )
    return {str(record_id): int(str(count)) for record_id, count in rows}


def test_over_ten_nights_each_is_sent_max_attempts_times_in_all(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(max_attempts=MAX_ATTEMPTS)
    books.order(*NEVER_ANSWERED)
    for night in range(NIGHTS):
        write_notes(pipeline, notes_of(night))
        job = planned(pipeline, key=f"night {night}")
        assert run(pipeline, job).outcomes["answered"] == 1
        assert (job.records, job.given_up) == ((6, 0) if night == 0 else (1, 5))
    assert sent(pipeline) == SENT
    assert books.lines_executed == NIGHTS + sum(SENT.values())


def test_nights_that_are_cancelled_after_one_attempt_count_too(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    """A cancelled job makes no further attempt itself; the next night's would have begun to count anew."""
    pipeline = make_pipeline(max_attempts=MAX_ATTEMPTS)
    books.order(*NEVER_ANSWERED)
    for night in range(NIGHTS):
        write_notes(pipeline, notes_of(night))
        job = planned(pipeline, key=f"night {night}")
        submit_job(pipeline, job.job_id)
        while not all(batch.ended_at for batch in batches_of(pipeline, job)):
            poll(pipeline, "local")
        cancel(pipeline, job.job_id)
        run(pipeline, job)
        assert status(pipeline, job.job_id).attempts == 1
    assert sent(pipeline) == SENT
    assert books.lines_executed == NIGHTS + sum(SENT.values())
