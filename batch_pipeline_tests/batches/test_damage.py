"""Files as no provider should give them: no exception, and the outcomes add up to the requests."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.collect import collect_batch
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger import batches, jobs
from batch_pipeline.ledger.batches import Batch
from batch_pipeline_tests.batches.chain import batches_of, planned, query, write_notes

REQUESTS = 400
CASES = 25
"""Each example damages a file of 400 rows, each in one of many ways: 25 examples are 10,000 damaged rows."""

Row = Callable[[str], list[bytes]]


def answer(custom_id: str, status: int = 200, content: object = '{"label": "glad"}', reason: object = "stop") -> bytes:
    body = {"choices": [{"message": {"content": content}, "finish_reason": reason}], "usage": {"prompt_tokens": 5}}
    error = {"error": {"code": "c", "message": "m"}}
    response = {"status_code": status, "body": body if status == 200 else error}
    return orjson.dumps({"id": "x", "custom_id": custom_id, "response": response, "error": None})


def not_executed(custom_id: str, code: object) -> bytes:
    return orjson.dumps({"custom_id": custom_id, "response": None, "error": {"code": code, "message": "m"}})


ROWS: list[Row] = [
    lambda id_: [answer(id_)],
    lambda id_: [answer(id_, content="prose")],
    lambda id_: [answer(id_, content=None)],
    lambda id_: [answer(id_, content={"label": "glad"})],
    lambda id_: [answer(id_, reason="length")],
    lambda id_: [answer(id_, reason=7)],
    lambda id_: [answer(id_, status) for status in (500, 200)],
    lambda id_: [answer(id_), answer(id_, 429)],
    lambda id_: [answer(id_, 400)],
    lambda id_: [answer(id_, 429)],
    lambda id_: [not_executed(id_, "batch_expired")],
    lambda id_: [not_executed(id_, None)],
    lambda id_: [answer(id_)[:-7]],
    lambda id_: [answer(id_).replace(b'"custom_id"', b'"costum_id"')],
    lambda id_: [answer(f"foreign-{id_}")],
    lambda id_: [answer(f"foreign-{id_}"), answer(id_)],
    lambda _: [],
    lambda _: [b"", b"   ", b"null", b"[]", b"\xff\xfe", b'"text"', b"{}"],
    lambda id_: [orjson.dumps({"custom_id": id_, "response": {"status_code": "200", "body": []}, "error": 3})],
    lambda id_: [orjson.dumps({"custom_id": id_})],
    lambda id_: [answer(id_, content='{"label": "glad", "n": ' + "9" * 400 + "}")],
]


@pytest.mark.timeout(300)
@given(chosen=st.lists(st.sampled_from(ROWS), min_size=REQUESTS, max_size=REQUESTS), seed=st.integers(0, 2**32))
@settings(
    max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
                                                             HealthCheck.data_too_large, HealthCheck.large_base_example]
)  # fmt: skip
def test_ten_thousand_damaged_rows_have_an_outcome_each(
    make_pipeline: Callable[..., Pipeline], chosen: Sequence[Row], seed: int
) -> None:
    pipeline = make_pipeline(missing_recheck_seconds=0.0)
    job, batch = _ended(pipeline)
    lines = [line for n, row in enumerate(chosen) for line in row(f"note-{n}")]
    random.Random(seed).shuffle(lines)
    _write(pipeline.folder(job.job_id).output(0, look=2), lines[::2])
    _write(pipeline.folder(job.job_id).errors(0, look=2), lines[1::2])
    assert collect_batch(pipeline, job, batch) is None
    (collected,) = batches_of(pipeline, job)
    assert sum(collected.request_outcomes.values()) == sum(collected.outcomes.values()) == REQUESTS
    assert query(pipeline, "SELECT count(*), count(DISTINCT custom_id) FROM batch_results") == [(REQUESTS, REQUESTS)]
    assert query(pipeline, "SELECT count(*) FROM mood")[0][0] == collected.outcomes.get("answered", 0)


def _ended(pipeline: Pipeline) -> tuple[jobs.Job, Batch]:
    """A job of 400 requests, planned anew, whose batch the provider says has ended."""
    with pipeline.ledger.begin() as db:
        for table in ("events", "inflight", "given_up", "sends", "batches", "jobs"):
            db.exec_driver_sql(f"DELETE FROM {table}")
    write_notes(pipeline, REQUESTS)
    with pipeline.warehouse.write() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS mood (batch_id VARCHAR)")
        connection.execute("DROP VIEW IF EXISTS mood_latest")
        connection.execute("DROP TABLE mood")
        for table in ("batch_requests", "request_records", "batch_results"):
            connection.execute(f"DELETE FROM {table}")
    job = planned(pipeline)
    with pipeline.ledger.begin() as db:
        batch = batches.get(db, f"{job.job_id}-0000")
        told = {"remote_status": "completed", "output_file_id": "out", "error_file_id": "err"}
        # looked at once already, so that what is in no file is missing for good
        ended = batches.write(db, batch, ended_at=1.0, recheck_at=1.0, **told)
    assert ended is not None
    return job, replace(ended)


def _write(path: Path, lines: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
