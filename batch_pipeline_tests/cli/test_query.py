from __future__ import annotations

import csv
import io
import os
import pty
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from batch_pipeline.cli.output import Column
from batch_pipeline.cli.query import columns_with_room
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.command import COMMAND, environment


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


@pytest.mark.parametrize(("room", "shown"), [(8, 1), (23, 1), (24, 2), (29, 2), (30, 3)])
def test_a_terminal_has_room_for_whole_columns_only(room: int, shown: int) -> None:
    columns = [Column("a"), Column("text"), Column("b")]
    assert columns_with_room(columns, [("1", "x" * 90, "1234"), ("12", "", "")], room) == shown


def test_what_a_narrow_terminal_has_no_room_for_is_named(tmp_path: Path) -> None:
    sql = "SELECT 'acme/orbit#1' AS record_id, 'bug' AS label, 'x' || repeat('y', 50) AS hash, 'late' AS answered_at"
    ours, theirs = pty.openpty()
    given = environment(tmp_path, COLUMNS=40, TERM="dumb")
    subprocess.run([*COMMAND, "query", sql], env=given, stdout=theirs, check=True, timeout=60)
    os.close(theirs)
    head, row, count, *rest = os.read(ours, 65536).decode().splitlines()
    os.close(ours)
    assert (head.split(), row.split(), count) == (["record_id", "label"], ["acme/orbit#1", "bug"], "(1 row)")
    assert "No room for hash, answered_at." in " ".join(rest)
