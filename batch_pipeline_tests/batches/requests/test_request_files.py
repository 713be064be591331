"""The files of a plan: within the limits, whole, and as the indexes say."""

from __future__ import annotations

import hashlib
from datetime import date
from itertools import cycle, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.files import JobFolder
from batch_pipeline.batches.money.estimates import Estimator
from batch_pipeline.batches.money.prices import PriceBook
from batch_pipeline.batches.requests.indexes import RecordRow, RecordRows, Share
from batch_pipeline.batches.requests.request_files import FilePlan, Input, Limits, Request, RequestFiles, Requests
from batch_pipeline.errors import PlanSuperseded

PRICE = PriceBook().price("openai", "gpt-6-luna")


def estimator() -> Estimator:
    return Estimator(PRICE, 20, exact=True)


def request(number: int, size: int) -> Request:
    return Request(b"x" * (size - 1) + b"\n", (Input(f"r{number}", f"f{number}", size),))


def written(folder: JobFolder, requests: list[Request], limits: Limits, chunk: int) -> list[FilePlan]:
    with RequestFiles(folder, limits, estimator) as files:
        for start in range(0, len(requests), chunk):
            files.add(Requests.of(requests[start : start + chunk]), RecordRows.of([]), [])
        return files.commit()


def rows_of(index: Path) -> list[tuple[str, int, int]]:
    with duckdb.connect() as connection:
        sql = "SELECT custom_id, batch, line FROM read_parquet(?) ORDER BY batch, line"
        return connection.execute(sql, [str(index)]).fetchall()


@given(
    sizes=st.lists(st.integers(1, 50), max_size=60),
    limits=st.builds(Limits, max_requests=st.integers(1, 10), max_bytes=st.integers(50, 200)),
    chunk=st.integers(1, 20),
)
@settings(max_examples=60, deadline=None)
def test_files_keep_to_the_limits_and_hold_every_line_once_in_order(
    sizes: list[int], limits: Limits, chunk: int
) -> None:
    requests = [request(number, size) for number, size in enumerate(sizes)]
    with TemporaryDirectory() as name:
        folder = JobFolder(Path(name), "job")
        plans = written(folder, requests, limits, chunk)
        contents = [folder.requests(plan.number).read_bytes() for plan in plans]
        index = rows_of(folder.request_index)
    assert b"".join(contents) == b"".join(request.line for request in requests)
    for plan, content in zip(plans, contents, strict=True):
        assert 0 < len(content) == plan.bytes <= limits.max_bytes
        assert 0 < plan.estimate.requests <= limits.max_requests
        assert plan.estimate.requests == len(content.splitlines())
        assert plan.sha256 == hashlib.sha256(content).hexdigest()
    # no file could have taken the first line of the next one
    for this, following in pairwise(plans):
        first = next(custom_id for custom_id, batch, _ in index if batch == following.number)
        size = len(requests[int(first[1:])].line)
        assert this.estimate.requests == limits.max_requests or this.bytes + size > limits.max_bytes
    assert [custom_id for custom_id, _, _ in index] == [request.inputs[0].custom_id for request in requests]
    assert [line for _, _, line in index] == [n for plan in plans for n in range(1, plan.estimate.requests + 1)]


@given(sizes=st.lists(st.integers(1, 50), max_size=60), most=st.integers(1, 10))
@settings(max_examples=30, deadline=None)
def test_the_estimates_of_the_files_add_up_to_that_of_the_whole(sizes: list[int], most: int) -> None:
    requests = [request(number, size) for number, size in enumerate(sizes)]
    whole = estimator()
    whole.add(sizes)
    with TemporaryDirectory() as name:
        plans = written(JobFolder(Path(name), "job"), requests, Limits(most, 1_000), 7)
    assert sum(plan.estimate.input_tokens for plan in plans) == whole.result().input_tokens
    assert sum(plan.estimate.bound_usd for plan in plans) == pytest.approx(whole.result().bound_usd)


def test_files_that_are_there_are_never_replaced(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path, "job")
    written(folder, [request(1, 10)], Limits(10, 100), 1)
    before = folder.requests(0).read_bytes()
    with pytest.raises(PlanSuperseded):
        written(folder, [request(2, 20)], Limits(10, 100), 1)
    assert folder.requests(0).read_bytes() == before


def test_what_is_not_committed_leaves_nothing(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path, "job")
    with RequestFiles(folder, Limits(10, 100), estimator) as files:
        files.add(Requests.of([request(1, 10)]), RecordRows.of([record("a", "r1", "sent")]), [b"w\n"])
    assert list(folder.path.iterdir()) == []


def record(name: str, custom_id: str, share: Share) -> RecordRow:
    return RecordRow(name, "a/b", date(2026, 11, 20), "h", 0, f"f{custom_id[1:]}", custom_id, share)


def of_batch(folder: JobFolder, number: int) -> list[str]:
    """The records that a batch answers, by name."""
    with duckdb.connect() as connection:
        sql = "SELECT record_id FROM read_parquet(?) WHERE batch = ? AND share = 'sent' ORDER BY ALL"
        return [name for (name,) in connection.execute(sql, [str(folder.record_index), number]).fetchall()]


@given(answered_by=st.lists(st.integers(0, 11), max_size=40), chunk=st.integers(1, 5), most=st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_each_record_is_marked_with_the_batch_that_answers_it_however_early_that_was(
    answered_by: list[int], chunk: int, most: int
) -> None:
    requests = [request(number, 10) for number in range(12)]
    shares: cycle[Share] = cycle(("reused", "waiting", "unsendable"))
    with TemporaryDirectory() as name:
        folder = JobFolder(Path(name), "job")
        with RequestFiles(folder, Limits(most, 1_000), estimator) as files:
            for start in range(0, 12, chunk):
                end = min(start + chunk, 12)
                here = [(at, by) for at, by in enumerate(answered_by) if start <= max(by, at % 12) < end]
                records = [record(f"record {at}", f"r{by}", "sent") for at, by in here]
                rows = RecordRows.of([*records, record("other", "other", next(shares))])
                files.add(Requests.of(requests[start:end]), rows, [])
            plans = files.commit()
        for plan in plans:
            wanted = sorted(f"record {at}" for at, by in enumerate(answered_by) if by // most == plan.number)
            assert of_batch(folder, plan.number) == wanted
            assert plan.records == len(wanted)


def test_a_batch_is_found_without_reading_the_records_of_others(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path, "job")
    with RequestFiles(folder, Limits(20, 1_000), estimator) as files:
        for start in range(0, 100, 10):
            numbers = range(start, start + 10)
            requests = Requests.of([request(n, 10) for n in numbers])
            files.add(requests, RecordRows.of(record(f"{n}", f"r{n}", "sent") for n in numbers), [])
        files.commit()
    for index in (folder.request_index, folder.record_index):
        groups = pq.ParquetFile(index).metadata
        column = groups.schema.names.index("batch")
        for n in range(groups.num_row_groups):
            found = groups.row_group(n).column(column).statistics
            assert found is not None
            assert (found.min, found.max) == (n // 2, n // 2)
        assert groups.num_row_groups == 10
