from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import duckdb
import pytest

from batch_pipeline.warehouse.answers import OWN_COLUMNS, answers_of_jobs, make_table, parsed, type_of_column
from batch_pipeline.warehouse.names import quoted, text_literal

KIND = {"label": "VARCHAR", "severity": "BIGINT"}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def add(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str], answer: str, **own: object) -> None:
    """Adds an answer to the table `mood`, as collecting does."""
    values: dict[str, object] = {"record_id": "a/b#1", "job_id": "job", "answered_at": NOON, **own}
    mine = ", ".join(f"${name} AS {name}" for name in values)
    fields = parsed(columns, "$answer::VARCHAR")
    connection.execute(f"INSERT INTO mood BY NAME SELECT {mine}, {fields}", {**values, "answer": answer})


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    rows = connection.execute("SELECT column_name, column_type FROM (DESCRIBE " + quoted(table) + ")").fetchall()
    return dict(rows)


def test_a_table_has_its_own_columns_around_those_of_the_answer(connection: duckdb.DuckDBPyConnection) -> None:
    make_table(connection, "mood", KIND)
    made = columns_of(connection, "mood")
    assert list(made)[:5] == ["record_id", "repo", "night", "label", "severity"]
    assert {name for name in made if name not in KIND} == set(OWN_COLUMNS)
    assert columns_of(connection, "mood_latest") == made
    assert type_of_column(connection, "mood", "severity") == "BIGINT"
    assert type_of_column(connection, "mood", "nothing") is None
    assert type_of_column(connection, "nowhere", "label") is None


def test_a_field_that_is_added_widens_the_table_and_its_view(connection: duckdb.DuckDBPyConnection) -> None:
    make_table(connection, "mood", KIND)
    add(connection, KIND, '{"label": "bug", "severity": 2}')
    wider = {**KIND, "reasons": "VARCHAR[]"}
    connection.begin()
    make_table(connection, "mood", wider)
    add(connection, wider, '{"label": "question", "severity": 1, "reasons": ["a"]}', record_id="a/b#2")
    connection.commit()
    make_table(connection, "mood", KIND)  # and a field that goes leaves what is there
    rows = connection.execute("SELECT label, severity, reasons FROM mood_latest ORDER BY record_id").fetchall()
    assert rows == [("bug", 2, None), ("question", 1, ["a"])]


@pytest.mark.parametrize("name", ["select", "table", "main", "order", "collected_rows", "chunk", "results"])
def test_a_task_may_have_a_name_that_means_something_to_sql(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    make_table(connection, name, {"group": "VARCHAR", "from": "BIGINT"})
    make_table(connection, name, {"group": "VARCHAR", "from": "BIGINT", "where": "JSON"})
    assert {"group", "from", "where"} < set(columns_of(connection, f"{name}_latest"))


def test_the_view_has_the_newest_answer_of_each_record_and_variant(connection: duckdb.DuckDBPyConnection) -> None:
    make_table(connection, "mood", KIND)
    add(connection, KIND, '{"label": "bug", "severity": 1}', job_id="old")
    add(connection, KIND, '{"label": "feature", "severity": 1}', job_id="new", answered_at=NOON.replace(hour=13))
    add(connection, KIND, '{"label": "question", "severity": 1}', job_id="short", variant="short")
    rows = connection.execute("SELECT job_id, label FROM mood_latest ORDER BY job_id").fetchall()
    assert rows == [("new", "feature"), ("short", "question")]


@pytest.mark.parametrize(
    ("kind", "said", "stored"),
    [
        ("VARCHAR", 'it\'s a "bug"\n', 'it\'s a "bug"\n'),
        ("VARCHAR", "", ""),
        ("VARCHAR", None, None),
        ("VARCHAR", "null", "null"),
        ("VARCHAR", "nul \x00 é \u2028", "nul \x00 é \u2028"),
        ("BIGINT", 7, 7),
        ("BIGINT", 7.0, 7),
        ("BIGINT", -(2**63), -(2**63)),
        ("DOUBLE", 1, 1.0),
        ("DOUBLE", 1e-300, 1e-300),
        ("BOOLEAN", False, False),
        ("VARCHAR[]", [], []),
        ("VARCHAR[]", ["a", "it's"], ["a", "it's"]),
        ("VARCHAR[]", None, None),
        ('STRUCT("a b" VARCHAR, n BIGINT)', {"a b": "x", "n": None}, {"a b": "x", "n": None}),
        ("STRUCT(d DATE)[]", [{"d": "2026-11-20"}], [{"d": datetime(2026, 11, 20, tzinfo=UTC).date()}]),
        ("JSON", {"any": [1, "a", None]}, '{"any":[1,"a",null]}'),
    ],
)
def test_a_field_is_stored_with_its_type(
    connection: duckdb.DuckDBPyConnection, kind: str, said: object, stored: object
) -> None:
    make_table(connection, "mood", {"field": kind})
    add(connection, {"field": kind}, json.dumps({"field": said}))
    assert connection.execute("SELECT field FROM mood").fetchall() == [(stored,)]


@pytest.mark.parametrize("name", ["a.b", "a b", "a'b", "a*", "$", "[0]", "é"])
def test_a_field_may_have_any_name(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    make_table(connection, "mood", {name: "BIGINT"})
    add(connection, {name: "BIGINT"}, json.dumps({name: 7}))
    assert connection.execute(f"SELECT {quoted(name)} FROM mood").fetchall() == [(7,)]


def test_answers_of_jobs_come_by_record_with_the_newest_of_each(connection: duckdb.DuckDBPyConnection) -> None:
    assert list(answers_of_jobs(connection, "mood", ["label"], ["job"])) == []
    make_table(connection, "mood", KIND)
    add(connection, KIND, '{"label": "bug", "severity": 1}', record_id="b", job_id="one")
    add(connection, KIND, '{"label": "bug", "severity": 1}', record_id="a", job_id="one")
    later = NOON.replace(hour=13)
    add(connection, KIND, '{"label": "question", "severity": 3}', record_id="a", job_id="two", answered_at=later)
    add(connection, KIND, '{"label": "feature", "severity": 1}', record_id="c", job_id="other")
    found = list(answers_of_jobs(connection, "mood", list(KIND), ["one", "two"]))
    assert [(answer.record_id, answer.answer, answer.job_id) for answer in found] == [
        ("a", {"label": "question", "severity": 3}, "two"),
        ("b", {"label": "bug", "severity": 1}, "one"),
    ]
    assert found[0].answered_at == later


def test_names_and_texts_are_quoted() -> None:
    assert quoted('a"b') == '"a""b"'
    assert text_literal("it's") == "'it''s'"
    assert text_literal(None) == "NULL"
