from __future__ import annotations

from collections.abc import Generator
from dataclasses import fields, replace

import pytest
from sqlalchemy import JSON, insert, update

from batch_pipeline.ledger import batches, jobs
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.events import Event
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.ledger.repos import Repo
from batch_pipeline.ledger.rows import compare_and_set, row_of
from batch_pipeline.ledger.sends import Send
from batch_pipeline.ledger.tables import metadata, sends
from batch_pipeline_tests.ledger.rows import batch, fill, job

SEND = Send("job-0000", 1, "claim", "account", 1.5, file_id="file-1", uploaded_at=2.25)
CHANGED: dict[str, object] = {
    "claim": "other",
    "account": "other",
    "claimed_at": 1.5000001,
    "file_id": None,
    "uploaded_at": None,
    "sent_sha256": "0123",
    "posted_at": 3.0,
    "fenced_at": 3.0,
    "remote_id": "batch_1",
    "end": "void",
    "held": "why",
}


@pytest.fixture
def ledger(ledger_url: str) -> Generator[Ledger]:
    made = Ledger(ledger_url)
    fill(made)
    with made.begin() as db:
        db.execute(insert(sends).values(vars(SEND)))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("kind", "table"),
    [(Job, "jobs"), (Batch, "batches"), (Send, "sends"), (Event, "events"), (Repo, "repos")],
)
def test_a_rows_fields_are_its_tables_columns(kind: type[Job], table: str) -> None:
    assert {field.name for field in fields(kind)} == set(metadata.tables[table].columns.keys())


def test_an_unchanged_row_is_written_once(ledger: Ledger) -> None:
    with ledger.begin() as db:
        written = compare_and_set(db, sends, SEND, posted_at=7.0)
        assert written == replace(SEND, posted_at=7.0)
        assert compare_and_set(db, sends, SEND, posted_at=8.0) is None
        assert written is not None
        assert compare_and_set(db, sends, written, remote_id="batch_1") is not None


@pytest.mark.parametrize("column", sorted(CHANGED))
def test_whichever_column_moved_nothing_is_written(ledger: Ledger, column: str) -> None:
    with ledger.begin() as db:
        db.execute(update(sends).values({column: CHANGED[column]}))
        moved = replace(SEND, **{column: CHANGED[column]})
        assert compare_and_set(db, sends, SEND, held="new") is None
        assert compare_and_set(db, sends, moved, held="new") == replace(moved, held="new")


def test_every_column_that_may_move_is_tried() -> None:
    assert set(CHANGED) == set(sends.columns.keys()) - {"batch_id", "number"}


def test_a_condition_that_does_not_hold_writes_nothing(ledger: Ledger) -> None:
    with ledger.begin() as db:
        assert compare_and_set(db, sends, SEND, sends.c.file_id.is_(None), held="new") is None
        assert compare_and_set(db, sends, SEND, sends.c.file_id.is_not(None), held="new") is not None


def test_a_row_that_is_gone_is_not_written(ledger: Ledger) -> None:
    with ledger.begin() as db:
        assert compare_and_set(db, sends, replace(SEND, number=2), held="new") is None


def test_json_columns_come_back_as_they_went(ledger: Ledger) -> None:
    counts = {"answered": 3, "é\u2028": 1}
    errors: list[dict[str, object]] = [{"code": "invalid_json_line", "line": 3, "param": None}]
    usage: dict[str, object] = {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}}
    with ledger.begin() as db:
        made = jobs.open_job(db, job("other", selection={"limit": 3, "repos": ["a/b"]}, taken={"invalid": 2}))
        batches.add(db, [batch(7, "other", outcomes=counts, errors=errors, usage=usage)])
    with ledger.read() as db:
        assert jobs.get(db, "other") == made
        assert batches.get(db, "other-0007") == batch(7, "other", outcomes=counts, errors=errors, usage=usage)
        assert batches.get(db, "job-0000").usage is None


def test_a_row_with_json_is_compared_by_its_other_columns(ledger: Ledger) -> None:
    with ledger.begin() as db:
        read = batches.get(db, "job-0000")
        written = batches.write(db, read, outcomes={"answered": 1}, ended_at=9.0)
        assert written == replace(read, outcomes={"answered": 1}, ended_at=9.0)
        assert batches.get(db, "job-0000") == written
        assert batches.write(db, read, remote_status="completed") is None
    assert any(isinstance(column.type, JSON) for column in metadata.tables["batches"].columns)


def test_columns_that_a_row_does_not_name_are_passed_over(ledger: Ledger) -> None:
    with ledger.read() as db:
        joined = db.execute(sends.select().add_columns(sends.c.claim.label("further"))).mappings().one()
    assert row_of(Send, joined) == SEND
