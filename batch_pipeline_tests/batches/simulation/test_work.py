"""How work is split: nothing of it is lost, and no batch holds more than it may."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.requests.request_files import Limits
from batch_pipeline.batches.simulation.work import Work

QUICK = settings(max_examples=50, deadline=None)


@st.composite
def works(draw: st.DrawFn) -> Work:
    rows = draw(st.integers(1, 500))
    some = st.integers(rows, 400 * rows)
    requests = draw(st.integers(1, 2 * rows))
    return Work(rows, requests, draw(some), draw(some), draw(some), draw(st.integers(1, 300)))


LIMITS = st.builds(
    Limits, st.integers(1, 50_000), st.integers(1_000, 10**6), st.one_of(st.none(), st.integers(1, 10**6))
)


@QUICK
@given(works(), LIMITS)
def test_rows_requests_and_tokens_of_all_batches_are_those_of_the_work(work: Work, limits: Limits) -> None:
    batches = work.batches(limits)
    assert sum(batch.rows for batch in batches) == work.rows
    assert sum(batch.requests for batch in batches) == work.requests
    assert sum(batch.tokens for batch in batches) == work.input_tokens
    assert len(batches) == work.count_batches(limits)
    assert work.batches(limits, 7) == batches[:7]


@QUICK
@given(works(), LIMITS)
def test_a_batch_of_more_than_one_row_keeps_to_the_limits(work: Work, limits: Limits) -> None:
    for batch in work.batches(limits):
        assert 1 <= batch.rows <= work.rows_per_job
        if batch.rows > 1:
            assert batch.rows * work.inputs <= limits.max_requests * work.rows
            assert batch.rows * work.bytes <= limits.max_bytes * work.rows
            assert limits.max_tokens is None or batch.tokens <= limits.max_tokens


@QUICK
@given(works(), LIMITS)
def test_a_job_is_of_so_many_rows_at_most(work: Work, limits: Limits) -> None:
    by_job: dict[int, int] = {}
    for batch in work.batches(limits):
        by_job[batch.job] = by_job.get(batch.job, 0) + batch.rows
    assert all(rows == work.rows_per_job for job, rows in by_job.items() if job < max(by_job))
    assert max(by_job.values()) <= work.rows_per_job


def test_a_billion_rows_are_twenty_thousand_batches() -> None:
    work = Work.of_rows(10**9, 400, 2_000)
    assert work.count_batches(Limits(50_000, 209_715_200)) == 20_000
    assert work.count_batches(Limits(50_000, 209_715_200, 4_000_000)) == 100_000
