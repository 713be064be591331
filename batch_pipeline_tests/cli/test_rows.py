from __future__ import annotations

from pathlib import Path

import pytest

from batch_pipeline_tests.cli.conftest import Command


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("id,text\nr1,Good.\nr2,Bad.\n")
    return path


def test_rows_are_loaded_and_what_to_write_next_is_said(offline: Command, reviews: Path) -> None:
    told = offline("rows", "load", reviews, "--table", "reviews")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("2 rows of 1 file in the table `reviews`.\n  record_id: `id`\n  columns: id, text\n")
    assert told.out.endswith('records="FROM reviews".\n')
    assert offline("query", "SELECT text FROM reviews WHERE record_id = 'r2'", "--format", "csv").out.split() == [
        "text",
        "Bad.",
    ]
    assert offline("rows", "load", reviews, "--table", "reviews", "--json").json["columns"]["text"] == "VARCHAR"


@pytest.mark.parametrize("table", ["batch_jobs", "issue_kind", "issue_kind_latest", "python_items"])
def test_no_table_of_the_project_or_of_a_task_is_replaced(offline: Command, reviews: Path, table: str) -> None:
    told = offline("rows", "load", reviews, "--table", table)
    assert (told.code, told.sentence[:60]) == (2, f"Error: `{table}` is the name of a table of the project or of"[:60])


def test_a_row_that_can_not_be_read_is_named_and_the_verb_failed(offline: Command, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"id": 1}\nno\n')
    told = offline("rows", "load", tmp_path / "r.jsonl", "--table", "mine")
    assert (told.code, told.sentence.endswith("r.jsonl:2: not JSON")) == (1, True)
    assert told.out.startswith("1 row of 1 file")
