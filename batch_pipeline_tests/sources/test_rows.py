from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.requests.select import prepare
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.errors import InvalidSelection, InvalidTask
from batch_pipeline.sources.rows import load_rows
from batch_pipeline.tasks import BatchTask
from batch_pipeline.warehouse.connection import Warehouse

CSV = 'id,stars,text,code\nr1,5,"Quiet, and fast.",007\nr2,1,,1e5\n'


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


def file(tmp_path: Path, name: str, text: str) -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def rows(warehouse: Warehouse, table: str = "reviews") -> list[tuple[object, ...]]:
    with warehouse.read() as connection:
        return connection.execute(f"FROM {table} ORDER BY ALL").fetchall()


def test_a_csv_file_becomes_a_table_with_numbers_where_all_are_numbers(warehouse: Warehouse, tmp_path: Path) -> None:
    loaded = load_rows(warehouse, [file(tmp_path, "reviews.csv", CSV)], "reviews")
    text = "VARCHAR"
    assert loaded.columns == {"record_id": text, "id": text, "stars": "BIGINT", "text": text, "code": text}
    assert (loaded.rows, loaded.files, loaded.id_column, loaded.problems) == (2, 1, "id", ())
    assert rows(warehouse) == [("r1", "r1", 5, "Quiet, and fast.", "007"), ("r2", "r2", 1, None, "1e5")]


def test_json_lines_and_parquet_keep_their_types(warehouse: Warehouse, tmp_path: Path) -> None:
    lines = [{"record_id": 7, "tags": ["a"], "at": {"x": 1.5}, "no": "12"}, {"record_id": 8, "ok": True}]
    path = file(tmp_path, "r.jsonl", "\n".join(json.dumps(line) for line in lines))
    load_rows(warehouse, [path], "reviews")
    assert rows(warehouse) == [("7", ["a"], {"x": 1.5}, "12", None), ("8", None, None, None, True)]
    duckdb.sql('SELECT "ID", "ID" / 2 AS score FROM range(1, 3) AS r("ID")').write_parquet(str(tmp_path / "r.parquet"))
    assert load_rows(warehouse, [str(tmp_path / "r.parquet")], "reviews").id_column == "ID"
    assert rows(warehouse) == [("1", 1, 0.5), ("2", 2, 1.0)]


def test_a_load_replaces_what_the_table_held(warehouse: Warehouse, tmp_path: Path) -> None:
    path = file(tmp_path, "reviews.csv", CSV)
    load_rows(warehouse, [path], "reviews")
    file(tmp_path, "reviews.csv", "id,other\nr9,x\n")
    assert load_rows(warehouse, [path], "reviews").rows == 1
    assert rows(warehouse) == [("r9", "r9", "x")]


def test_rows_without_a_name_are_counted_and_a_column_can_be_named(warehouse: Warehouse, tmp_path: Path) -> None:
    path = file(tmp_path, "r.csv", "text,Nr\na,x\nb,y\n")
    assert load_rows(warehouse, [path], "notes").id_column is None
    assert [row[0] for row in rows(warehouse, "notes")] == ["notes#1", "notes#2"]
    assert load_rows(warehouse, [path], "notes", "nr").id_column == "Nr"
    assert [row[0] for row in rows(warehouse, "notes")] == ["x", "y"]


@pytest.mark.parametrize(
    ("text", "table", "column", "told"),
    [
        ("id,a\n1,x\n1,y\n", "mine", None, "has `1` in 2 rows"),
        ("id,a\n1,x\n,y\n", "mine", None, "is empty in 1 of the rows"),
        ("id,a\n1,x\n", "mine", "b", "no column `b`; they have: id, a"),
        ("id,a\n", "mine", None, "no row to load"),
        ("id,a\n1,x\n", "My table", None, "can't be a table's name"),
        ("id,a\n1,x\n", "issue_versions", None, "that is not of rows like these"),
        ("id,a\n1,x\n", "issues", None, "that is not of rows like these"),
    ],
)
def test_what_can_not_be_a_table_changes_nothing(
    warehouse: Warehouse, tmp_path: Path, text: str, table: str, column: str | None, told: str
) -> None:
    load_rows(warehouse, [file(tmp_path, "good.csv", "id,a\n5,before\n")], "mine")
    with pytest.raises(InvalidSelection, match=told):
        load_rows(warehouse, [file(tmp_path, "bad.csv", text)], table, column)
    assert rows(warehouse, "mine") == [("5", 5, "before")]
    with warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM issues").fetchone() == (0,)


def test_a_line_that_can_not_be_read_is_named_and_the_others_are_there(warehouse: Warehouse, tmp_path: Path) -> None:
    loaded = load_rows(warehouse, [file(tmp_path, "r.jsonl", '{"id": 1}\n{"id": \n[3]\n{"id": 4}\n')], "mine")
    assert sorted(problem.line or 0 for problem in loaded.problems) == [2, 3]
    assert [row[0] for row in rows(warehouse, "mine")] == ["1", "4"]


def test_a_task_can_not_have_the_name_of_a_table_of_rows(warehouse: Warehouse, tmp_path: Path) -> None:
    load_rows(warehouse, [file(tmp_path, "reviews.csv", CSV)], "reviews")
    task = BatchTask(name="reviews", records="FROM reviews", prompt="{text}", answer=str, partitions=None, deps=())
    with warehouse.read() as connection, pytest.raises(InvalidTask, match="rename the task"):
        prepare(connection, task, Selection())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8), min_size=1, max_size=5))
def test_text_comes_out_as_it_went_in(warehouse: Warehouse, tmp_path: Path, texts: list[str]) -> None:
    lines = "\n".join(json.dumps({"id": number, "place": text, "it": text}) for number, text in enumerate(texts))
    load_rows(warehouse, [file(tmp_path, "r.jsonl", lines)], "mine")
    assert [row[2:] for row in rows(warehouse, "mine")] == [(text, text) for text in texts]
