"""The files of a plan: within the limits, whole, and as the indexes say."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.files import JobFolder
from batch_pipeline.batches.money.estimates import Estimator
from batch_pipeline.batches.money.prices import PriceBook
from batch_pipeline.batches.requests.request_files import FilePlan, Input, Limits, RecordRow, Request, RequestFiles
from batch_pipeline.errors import PlanSuperseded

PRICE = PriceBook().price("openai", "gpt-6-luna")


def estimator() -> Estimator:
    return Estimator(PRICE, 20, exact=True)


def request(number: int, size: int) -> Request:
    return Request(f"r{number}", b"x" * (size - 1) + b"\n", (Input(f"r{number}", f"f{number}", size),))


def written(folder: JobFolder, requests: list[Request], limits: Limits, chunk: int) -> list[FilePlan]:
    with RequestFiles(folder, limits, estimator) as files:
        for start in range(0, len(requests), chunk):
            files.add(requests[start : start + chunk], [], [])
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
    assert [custom_id for custom_id, _, _ in index] == [request.custom_id for request in requests]
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
        files.add([request(1, 10)], [RecordRow("a", None, None, "h", 0, "f1", "r1", "sent")], [b"w\n"])
    assert list(folder.path.iterdir()) == []
