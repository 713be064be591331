"""Which records are asked about: a query in place of the task's records, filters, orders, and what is answered."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from batch_pipeline.batches.dry_run import dry_run
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan
from batch_pipeline.batches.requests.orders import read_orders
from batch_pipeline.batches.requests.prepared import AT_ONCE
from batch_pipeline.batches.requests.select import connection_for, prepare
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.errors import InvalidSelection, UsageError
from batch_pipeline.tasks import BatchTask
from batch_pipeline_tests.batches.chain import Mood, answers, mood, planned, run, write_notes
from batch_pipeline_tests.books import Books

ISSUES = """
    CREATE OR REPLACE TABLE notes AS
    SELECT * FROM (VALUES
        ('a', 'the first', 'acme/orbit', 3, TIMESTAMPTZ '2026-01-03', ['bug', 'ui']),
        ('b', 'the second', 'acme/orbit', 9, TIMESTAMPTZ '2026-01-01', []),
        ('c', 'the third', 'other/one', 9, TIMESTAMPTZ '2026-01-02', ['Bug']),
        ('d', 'the fourth', 'other/one', NULL, NULL, NULL)
    ) AS t(record_id, text, repo, reactions, created_at, labels)
"""


@pytest.fixture
def notes(pipeline: Pipeline) -> Pipeline:
    with pipeline.warehouse.write() as connection:
        connection.execute(ISSUES)
    return pipeline


def selected(pipeline: Pipeline, task: BatchTask = mood, **narrows: object) -> list[str]:
    """Ids of the records that are selected, in order."""
    selection = Selection(**narrows)  # pyright: ignore[reportArgumentType] - fields of Selection
    with connection_for(pipeline.warehouse, selection) as connection:
        prepared = prepare(connection, task, selection)
        return [str(row["record_id"]) for rows in prepared.stream(connection) for row in rows]


def test_a_query_takes_the_place_of_the_records_in_its_own_order(notes: Pipeline) -> None:
    sql = "SELECT record_id, text FROM notes WHERE reactions > 1 ORDER BY text DESC;"
    assert selected(notes, sql=sql) == ["c", "b", "a"]
    assert selected(notes, sql="SELECT range AS record_id, 'n' || range AS text FROM range(3)", ids=("2", "0")) == [
        "0",
        "2",
    ]


def test_every_filter_can_be_put_around_a_query(notes: Pipeline) -> None:
    sql = "SELECT *, DATE '2026-01-01' AS night FROM notes"
    assert selected(notes, sql=sql, repo="other/one", ids=("a", "c")) == ["c"]
    assert selected(notes, sql=sql, order=("age",), limit=2) == ["b", "c"]
    with pytest.raises(InvalidSelection, match="query can't be narrowed by org: it gives no such column, only record_"):
        selected(notes, sql=sql, org="acme")


def test_a_query_is_run_once_so_that_what_it_gives_it_gives_once(notes: Pipeline) -> None:
    sql = "SELECT record_id, text || random() AS text FROM notes USING SAMPLE 50% (bernoulli)"
    selection = Selection(sql=sql)
    for _ in range(5):
        with connection_for(notes.warehouse, selection) as connection:
            prepared = prepare(connection, mood, selection)
            twice = [[dict(row) for rows in prepared.stream(connection) for row in rows] for _ in range(2)]
            assert twice[0] == twice[1]
            assert prepared.count == len(twice[0])


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT text FROM notes", "no column `record_id`, which task `mood` needs. It gives: text. `notes` has: rec"),
        ("SELECT record_id FROM notes", "no column `text`, which task `mood` needs. It gives: record_id."),
        ("SELECT record_id, txt FROM notes", 'Referenced column "txt" not found.*`notes` has: record_id, text, repo'),
        ("FROM nots", "Table with name nots does not exist.*The tables and views are: .*notes"),
        ("SELECT record_id, text, CAST(text AS INTEGER) AS n FROM notes", "can't be run: Conversion Error"),
        ("SELECT 'same' AS record_id, text FROM notes", "gives record_id 'same' more than once"),
        ("SELECT NULL AS record_id, text FROM notes LIMIT 1", "gives record_id NULL more than once, or not at all"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("FROM read_csv('/etc/passwd')", "may not"),
        ("DELETE FROM notes", "a DELETE"),
    ],
)
def test_a_wrong_query_is_refused_with_what_is_at_hand_and_leaves_nothing(notes: Pipeline, sql: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        planned(notes, selection=Selection(sql=sql))
    assert "\n" not in str(refused.value)
    assert list(notes.settings.batches_dir.glob("*/*")) == []
    assert len(selected(notes)) == 4


def test_what_is_answered_is_skipped_in_a_query_too_unless_forced(notes: Pipeline, books: Books) -> None:
    first = run(notes, planned(notes, selection=Selection(ids=("a", "b"))))
    assert first.answered == 2
    sql = "SELECT record_id, text FROM notes"
    job = planned(notes, selection=Selection(sql=sql))
    assert (job.selected, job.skipped, job.records) == (4, 2, 2)
    assert job.selection["sql"] == sql
    run(notes, job)
    assert set(answers(notes)) == {"a", "b", "c", "d"}
    assert planned(notes, selection=Selection(sql=sql)).records == 0
    assert planned(notes, selection=Selection(sql=sql), force=True).requests == 4
    assert books.lines_executed == 4


def test_a_query_may_read_the_answers_that_there_are(notes: Pipeline) -> None:
    run(notes, planned(notes))
    follow_up = BatchTask(name="follow_up", records="FROM notes", prompt="{text} was {label}", answer=Mood)
    sql = "SELECT record_id, text, label FROM mood_latest JOIN notes USING (record_id) WHERE label IN ('glad', 'sad')"
    job = planned(notes, follow_up, Selection(sql=sql))
    assert job.records == 4
    line = json.loads(notes.folder(job.job_id).requests(0).read_text().splitlines()[0])
    assert line["body"]["messages"][-1]["content"].startswith("the first was ")


def test_an_attempt_never_runs_the_query_again(notes: Pipeline, books: Books) -> None:
    books.order({"kind": "rows", "status": 500, "every": 2})
    job = planned(notes, selection=Selection(sql="SELECT record_id, text FROM notes"))
    with notes.warehouse.write() as connection:
        connection.execute("ALTER TABLE notes RENAME TO gone")
    assert run(notes, job).outcomes == {"answered": 4}


def test_named_orders_say_what_comes_first(notes: Pipeline) -> None:
    assert selected(notes, order=("age",)) == ["b", "c", "a", "d"]
    assert selected(notes, order=("newest",)) == ["a", "c", "b", "d"]
    assert selected(notes, order=("reactions",)) == ["b", "c", "a", "d"]
    assert selected(notes, order=("reactions", "newest"), limit=1) == ["c"]
    assert selected(notes, order=("label:bug", "age")) == ["c", "a", "b", "d"]
    assert selected(notes, order=("label",))[:2] == ["c", "a"]
    by_text = BatchTask(name="mood", records="FROM notes", prompt="{text}", answer=Mood, partitions=None, order="text")
    assert selected(notes, by_text) == ["a", "d", "b", "c"]


def test_only_orders_that_there_are_can_be_named(notes: Pipeline) -> None:
    assert read_orders("label:good first issue, age") == ("label:good first issue", "age")
    for wrong in ("text; DROP TABLE notes", "label:", "", ","):
        with pytest.raises(InvalidSelection, match="there are: age, newest"):
            read_orders(wrong)
    with pytest.raises(InvalidSelection, match="no column `comment_count`, only record_id"):
        selected(notes, order=("comments",))
    assert selected(notes, order=("label:x') OR ('1'='1",)) == ["a", "b", "c", "d"]


def test_a_dry_run_of_a_query_tells_and_leaves_nothing(notes: Pipeline) -> None:
    found = dry_run(notes, Order(mood, Selection(sql="SELECT record_id, text FROM notes", limit=3)))
    assert (found.job.selected, found.job.requests, found.batches) == (4, 3, 1)


@pytest.mark.parametrize("selection", [Selection(), Selection(limit=7), Selection(which="all", limit=3)])
def test_many_records_are_read_in_windows_and_are_the_same_in_the_same_order(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, selection: Selection
) -> None:
    """All of their texts put in order at once took 2 GB for a million."""
    write_notes(pipeline, 11)
    task = replace(mood, order="hash(record_id)")
    with pipeline.warehouse.read() as connection:
        prepared = prepare(connection, task, selection)
        at_once = [row for rows in prepared.stream(connection) for row in rows]
        monkeypatch.setattr("batch_pipeline.batches.requests.prepared.AT_ONCE", 0)
        monkeypatch.setattr("batch_pipeline.batches.requests.prepared.WINDOW", 4)
        in_windows = [row for rows in prepared.stream(connection) for row in rows]
        monkeypatch.setattr("batch_pipeline.batches.requests.prepared.WINDOW_BYTES", 300_000)
        in_little_memory = [row for rows in prepared.stream(connection) for row in rows]
        ((memory,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    assert in_windows == in_little_memory == at_once
    assert len(at_once) == min(selection.limit or 11, 11)
    assert memory.endswith("GiB")


@pytest.mark.parametrize("length", [10, 6_000])
def test_more_records_than_are_put_in_order_at_once_come_each_once_and_in_order(
    pipeline: Pipeline, length: int
) -> None:
    """However long their texts are: a window of them, or all of them, may be more than DuckDB may keep."""
    count = AT_ONCE + 1_000
    with pipeline.warehouse.write() as connection:
        connection.execute(f"""
            CREATE OR REPLACE TABLE notes AS
            SELECT format('{{:06d}}', i) AS record_id, repeat(chr(97 + (i % 26)::INTEGER), {length}) || i AS text,
                (i * 7919) % {count} AS reactions
            FROM range({count}) AS t(i)
        """)
    with connection_for(pipeline.warehouse, Selection()) as connection:
        prepared = prepare(connection, replace(mood, order="reactions"), Selection())
        rows = ((str(row["record_id"]), str(row["text"])) for rows in prepared.stream(connection) for row in rows)
        read = [(name, len(text), text[length:]) for name, text in rows]
        ((memory,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    assert memory.endswith("GiB"), "what it may keep is not what it was"
    wanted = sorted(range(count), key=lambda i: i * 7919 % count)
    assert read == [(f"{i:06}", length + len(str(i)), str(i)) for i in wanted]


def test_a_record_may_have_a_content_hash_of_its_own(pipeline: Pipeline) -> None:
    with pipeline.warehouse.write() as connection:
        connection.execute("CREATE TABLE notes AS SELECT 'a' AS record_id, 'x' AS text, 'theirs' AS content_hash")
    task = replace(mood, prompt="{text} {content_hash}")
    job = plan(pipeline, Order(task))
    assert b"x theirs" in next(pipeline.folder(job.job_id).lines())
