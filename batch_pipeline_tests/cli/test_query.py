from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from batch_pipeline_tests.cli.conftest import Command


@pytest.fixture
def loaded(offline: Command, issue_files: Path) -> Command:
    offline("issues", "load", issue_files)
    return offline


def test_rows_come_in_four_forms(loaded: Command, tmp_path: Path) -> None:
    sql = "SELECT number, title, ['new'] AS labels FROM issues ORDER BY number"
    table = loaded("query", sql).out.splitlines()
    assert table[0].split() == ["number", "title", "labels"]
    assert table[-1] == "(3 rows)"
    rows = list(csv.reader(io.StringIO(loaded("query", sql, "--format", "csv").out)))
    assert rows[:2] == [["number", "title", "labels"], ["1", "It breaks 1", "['new']"]]
    assert loaded("query", sql, "--json").json[2] == {"number": 3, "title": "It breaks 3", "labels": ["new"]}
    assert loaded("query", sql, "--format", "parquet", "--output", tmp_path / "rows.parquet").out == ""
    assert pq.ParquetFile(tmp_path / "rows.parquet").metadata.num_rows == 3


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE issue_versions",
        "DELETE FROM issue_versions",
        "COPY issues TO '/tmp/never.csv'",
        "FROM read_csv('/etc/passwd')",
        "FROM '/etc/passwd'",
        "ATTACH '/tmp/never.duckdb' AS never",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SELECT 1; DROP TABLE issue_versions",
    ],
)
def test_sql_can_write_nothing_reach_nothing_and_load_nothing(loaded: Command, sql: str) -> None:
    ran = loaded("query", sql)
    assert ran.code == 2
    assert ran.sentence
    assert loaded("query", "SELECT count(*) AS n FROM issues", "--json").json == [{"n": 3}]


def test_a_wrong_name_is_told_with_those_that_there_are(loaded: Command) -> None:
    ran = loaded("query", "SELECT titel FROM issues")
    assert ran.code == 2
    assert '"title"' in ran.sentence


def test_a_cell_is_one_line_that_no_terminal_obeys(loaded: Command) -> None:
    ran = loaded("query", "SELECT 'a' || chr(10) || chr(27) || '[31mred[bold]' AS text")
    assert ran.out.splitlines()[1] == "a  [31mred[bold]"
