from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_pipeline.batches.requests.indexes import record_schema, request_schema
from batch_pipeline.warehouse.collected_rows import add_rows, make_collected_rows
from batch_pipeline.warehouse.results import inputs_at_lines, store_batch
from batch_pipeline.warehouse.shared import store_shared
from batch_pipeline.warehouse.written import Absent, Stored, Written

NIGHT = date(2026, 11, 20)
MISSING = Absent("missing", "missing", "in no file")
ROW: dict[str, object] = {
    "custom_id": "r1",
    "place": 0,
    "outcome": "answered",
    "http_status": 200,
    "error_code": None,
    "error_message": None,
    "input_tokens": 10,
    "cached_tokens": 2,
    "cache_write_tokens": 0,
    "output_tokens": 3,
    "reasoning_tokens": 1,
    "cost_usd": 0.5,
    "response_text": '{"label": "bug"}',
}


def row(custom_id: str, place: int = 0, **values: object) -> dict[str, object]:
    return {**ROW, "custom_id": custom_id, "place": place, **values}


def failed(custom_id: str, place: int = 0) -> dict[str, object]:
    values = {"outcome": "retryable", "http_status": 500, "error_message": "oh", "response_text": None, "cost_usd": 0.0}
    return row(custom_id, place, **values)


def table(*rows: dict[str, object]) -> pa.Table:
    texts = ("custom_id", "outcome", "error_code", "error_message", "response_text")
    kinds = {name: pa.string() if name in texts else pa.int64() for name in ROW} | {"cost_usd": pa.float64()}
    return pa.Table.from_pylist(list(rows), schema=pa.schema(list(kinds.items())))


def plan(folder: Path, job_id: str = "job", shares: dict[str, str] | None = None) -> Written:
    """A plan of two files with two requests each; `r1` answers two records. `shares` adds records without a request."""
    requests = [
        {
            "custom_id": f"r{n}",
            "batch": (n - 1) // 2,
            "line": (n - 1) % 2 + 1,
            "position": 0,
            "fingerprint": f"f{n}",
            "input_tokens": n,
        }
        for n in (1, 2, 3, 4)
    ]
    sent = [("a/b#1", "r1", "f1", "sent"), ("a/b#9", "r1", "f1", "sent")]
    sent += [(f"a/b#{n}", f"r{n}", f"f{n}", "sent") for n in (2, 3, 4)]
    sent += [(f"a/b#{fp}", f"own-{fp}", fp, share) for fp, share in (shares or {}).items()]
    records = [
        {
            "record_id": record,
            "repo": "a/b",
            "night": NIGHT,
            "content_hash": f"hash of {record}",
            "part": 0,
            "fingerprint": fp,
            "custom_id": custom_id,
            "share": share,
            "batch": (int(custom_id[1:]) - 1) // 2 if share == "sent" else None,
            "code": "request_too_large" if share[0] == "u" else None,
            "note": "too large" if share[0] == "u" else None,
        }
        for record, custom_id, fp, share in sent
    ]
    folder.mkdir(exist_ok=True)
    write(folder / "requests.parquet", pa.Table.from_pylist(requests, schema=request_schema()))
    write(folder / "records.parquet", pa.Table.from_pylist(records, schema=record_schema()))
    return Written(
        job_id=job_id,
        root_job_id=job_id,
        batch_id=f"{job_id}-0000",
        number=0,
        attempt=1,
        task="mood",
        provider="local",
        model="simulated",
        prompt_version="12345678",
        variant=None,
        answer_columns={"label": "VARCHAR"},
        answer_kind="object",
        part_columns=None,
        requests=folder / "requests.parquet",
        records=folder / "records.parquet",
        answered_at=1795000000.0,
    )


def write(path: Path, rows: pa.Table) -> None:
    pq.write_table(rows, path)  # pyright: ignore[reportUnknownMemberType] - half of its parameters have no types


def store(connection: duckdb.DuckDBPyConnection, batch: Written, rows: pa.Table | None = None) -> Stored:
    make_collected_rows(connection)
    if rows is not None:
        add_rows(connection, rows)
    return store_batch(connection, batch, MISSING)


def fetch(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    return connection.execute(sql).fetchall()


def everything(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    tables = ("batch_requests", "request_records", "batch_results", "mood")
    return {name: fetch(connection, f"SELECT * FROM {name} ORDER BY ALL") for name in tables}


def test_a_batch_is_stored_with_its_requests_records_results_and_answers(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    stored = store(connection, plan(tmp_path), table(row("r1"), failed("r2", 1)))
    assert stored.requests == {"answered": 1, "retryable": 1}
    assert stored.records == {"answered": 2, "retryable": 1}
    assert (stored.answered, stored.ends) == (["f1"], {"f2": ("retryable", "oh")})
    assert (stored.cost_usd, stored.foreign, stored.doubled) == (0.5, 0, 0)
    assert fetch(connection, "SELECT record_id, repo, night, label, custom_id, batch_id, reused_from FROM mood") == [
        ("a/b#1", "a/b", NIGHT, "bug", "r1", "job-0000", None),
        ("a/b#9", "a/b", NIGHT, "bug", "r1", "job-0000", None),
    ]
    assert fetch(connection, "SELECT custom_id, fingerprint, input_tokens, attempt FROM batch_requests") == [
        ("r1", "f1", 1, 1),
        ("r2", "f2", 2, 1),
    ]
    assert fetch(connection, "SELECT record_id, status, error_message FROM batch_items ORDER BY 1") == [
        ("a/b#1", "answered", None),
        ("a/b#2", "retryable", "oh"),
        ("a/b#9", "answered", None),
    ]


def test_storing_twice_is_storing_once_and_leaves_its_siblings_alone(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    first = plan(tmp_path)
    second = replace(first, batch_id="job-0001", number=1)
    store(connection, first, table(row("r1"), failed("r2", 1)))
    store(connection, second, table(row("r3"), row("r4", 1)))
    before = everything(connection)
    again = store(connection, first, table(row("r1"), failed("r2", 1)))
    assert everything(connection) == before
    assert again.requests == {"answered": 1, "retryable": 1}
    store(connection, first, table(row("r1"), row("r2", 1)))
    assert fetch(connection, "SELECT count(*) FROM mood") == [(5,)]


def test_a_request_in_no_row_has_the_outcome_of_what_is_absent(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    stored = store(connection, plan(tmp_path))
    assert (stored.requests, stored.records) == ({"missing": 2}, {"missing": 3})
    assert stored.ends["f1"] == ("missing", "in no file")
    assert stored.cost_usd == 0.0
    assert fetch(connection, "SELECT count(*) FROM mood") == [(0,)]


def test_the_first_2xx_of_a_doubled_row_counts_and_foreign_rows_are_counted_only(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rows = table(
        failed("r1", 0),
        row("r1", 1, response_text='{"label": "first"}'),
        row("r1", 2, response_text='{"label": "second"}'),
        row("r2", 3),
        row("nobody's", 4, cost_usd=99.0),
        row("r3", 5, cost_usd=99.0),  # of another batch of this job
    )
    stored = store(connection, plan(tmp_path), rows)
    assert (stored.requests, stored.foreign, stored.doubled, stored.cost_usd) == ({"answered": 2}, 2, 2, 1.0)
    assert fetch(connection, "SELECT DISTINCT label FROM mood ORDER BY label") == [("bug",), ("first",)]


@pytest.mark.parametrize("task", ["mood", "collected_rows", "handed_over", "chunk", "first_rows", "shared", "records"])
def test_no_name_of_a_task_is_in_the_way(connection: duckdb.DuckDBPyConnection, tmp_path: Path, task: str) -> None:
    batch = replace(plan(tmp_path, shares={"f1": "reused"}), task=task)
    store(connection, batch, table(row("r1"), row("r2", 1)))
    store_shared(connection, replace(batch, batch_id="job-shared"))
    assert fetch(connection, f"SELECT count(*) FROM main.{task}") == [(4,)]


def test_a_plan_that_does_not_say_which_batch_a_record_is_in_is_collected_the_same(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    batch, rows = plan(tmp_path), table(row("r1"), failed("r2", 1))
    store(connection, batch, rows)
    before = everything(connection)
    write(batch.records, pq.read_table(batch.records).drop_columns(["batch"]))  # pyright: ignore[reportUnknownMemberType]
    assert store(connection, batch, rows).records == {"answered": 2, "retryable": 1}
    assert everything(connection) == before


def test_text_is_stored_as_it_was_said(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    batch = replace(plan(tmp_path), answer_columns={"text": "VARCHAR"}, answer_kind="text")
    store(connection, batch, table(row("r1", response_text="it's {not} JSON")))
    assert fetch(connection, "SELECT DISTINCT text FROM mood") == [("it's {not} JSON",)]


def test_lines_of_a_batchs_file_are_found_by_their_number(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert sorted(inputs_at_lines(connection, plan(tmp_path), [1, 2, 7])) == [(1, "r1"), (2, "r2")]
    assert inputs_at_lines(connection, replace(plan(tmp_path), number=1), [2]) == [(2, "r4")]


class TestShared:
    """What no batch of a job answers: reused, waited for, or too large to send."""

    def stored(self, connection: duckdb.DuckDBPyConnection, folder: Path, **shares: str) -> Written:
        """Another job bought `f1` and not `f2`; this one's plan has these shares."""
        rows = table(row("r1"), row("r2", 1, outcome="refused", error_message="no", response_text="I can't."))
        store(connection, plan(folder / "other", "other"), rows)
        return replace(plan(folder / "mine", "mine", shares), batch_id="mine-shared")

    def test_each_gets_the_answer_that_was_bought_and_says_where(
        self, connection: duckdb.DuckDBPyConnection, tmp_path: Path
    ) -> None:
        batch = self.stored(connection, tmp_path, f1="reused", f2="waiting", f7="waiting", f8="unsendable")
        stored = store_shared(connection, batch)
        assert stored.records == {"answered": 1, "refused": 1, "waiting": 1, "failed": 1}
        assert stored.cost_usd == 0.0
        assert fetch(connection, "SELECT record_id, label, reused_from FROM mood WHERE job_id = 'mine'") == [
            ("a/b#f1", "bug", "other/r1")
        ]
        assert fetch(
            connection,
            "SELECT custom_id, outcome, error_code, error_message FROM batch_results WHERE job_id = 'mine' ORDER BY 1",
        ) == [
            ("own-f1", "answered", None, None),
            ("own-f2", "refused", None, "no"),
            ("own-f7", "waiting", None, None),
            ("own-f8", "failed", "request_too_large", "too large"),
        ]

    def test_handing_over_twice_is_handing_over_once(
        self, connection: duckdb.DuckDBPyConnection, tmp_path: Path
    ) -> None:
        batch = self.stored(connection, tmp_path, f1="reused", f7="waiting")
        store_shared(connection, batch)
        before = everything(connection)
        store_shared(connection, batch)
        assert everything(connection) == before

    def test_an_answer_counts_before_a_later_failure(
        self, connection: duckdb.DuckDBPyConnection, tmp_path: Path
    ) -> None:
        batch = self.stored(connection, tmp_path, f1="waiting")
        later = replace(plan(tmp_path / "third", "third"), answered_at=1795009999.0)
        store(connection, later, table(failed("r1"), failed("r2", 1)))
        assert store_shared(connection, batch).records == {"answered": 1}
