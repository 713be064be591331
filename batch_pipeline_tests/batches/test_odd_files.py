"""Files that come late, counts that are off, a download that ends early: all is collected, nothing is sent again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from batch_pipeline.batches.collect import collect
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.turn import submit_job, wait_for
from batch_pipeline.errors import ProviderUnreachable
from batch_pipeline_tests.batches.chain import accounted, batches_of, planned, run, write_notes
from batch_pipeline_tests.books import Books

LATE = {"kind": "files_late", "seconds": 0.5}
ROWS_FAIL = {"kind": "rows", "status": 400, "code": "bad", "custom_id": "note-1"}


@pytest.mark.parametrize(
    ("faults", "outcomes"),
    [
        ([LATE], {"answered": 4}),
        ([LATE, ROWS_FAIL], {"answered": 3, "failed": 1}),
        ([{"kind": "counts", "completed": 1}], {"answered": 4}),
        ([{"kind": "counts", "completed": -1, "failed": 1}], {"answered": 4}),
        ([LATE, {"kind": "counts", "completed": 1}], {"answered": 4}),
        ([{"kind": "content_cut", "share": 0.6, "times": 2}], {"answered": 4}),
        ([{"kind": "content_cut", "share": 0.6, "times": 2}, LATE, ROWS_FAIL], {"answered": 3, "failed": 1}),
    ],
)
def test_all_is_collected_and_nothing_is_sent_again(
    make_pipeline: Callable[..., Pipeline], books: Books, faults: list[dict[str, object]], outcomes: dict[str, int]
) -> None:
    pipeline = make_pipeline(missing_recheck_seconds=1.0)
    books.order(*faults)
    write_notes(pipeline, 4)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    state = wait_for(pipeline, job.job_id, poll_seconds=0.02)
    assert (state.outcomes, state.attempts) == (outcomes, 1)
    assert (len(books.batches), books.lines_executed) == (1, 4)
    accounted(pipeline, [job])


def test_a_file_that_can_not_be_had_keeps_no_other_batch_waiting(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    pipeline = make_pipeline(max_requests=2)
    write_notes(pipeline, 6)
    job = planned(pipeline)
    submit_job(pipeline, job.job_id)
    while not all(batch.ended_at for batch in batches_of(pipeline, job)):
        poll(pipeline, "local")
    books.order({"kind": "content_cut", "share": 0.6})
    with pytest.raises(ProviderUnreachable, match="cut off"):
        collect(pipeline, job.job_id)
    assert [batch.collected_at is not None for batch in batches_of(pipeline, job)] == [False, True, True]
    assert run(pipeline, job).outcomes == {"answered": 6}
    assert books.lines_executed == 6
