from __future__ import annotations

from collections.abc import Generator

import duckdb
import pytest

from batch_pipeline.warehouse import schema
from batch_pipeline.warehouse.schema import is_current, migrate, steps

BROKEN = [(1, "CREATE TABLE one (i INTEGER)"), (2, "CREATE TABLE two (i INTEGER); CREATE TABLE one (i INTEGER)")]


@pytest.fixture
def connection() -> Generator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        yield made


def names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
    return {str(name) for (name,) in rows}


def test_steps_are_numbered_without_a_gap() -> None:
    assert [number for number, _ in steps()] == list(range(1, len(steps()) + 1))


def test_each_step_is_run_once(connection: duckdb.DuckDBPyConnection) -> None:
    assert not is_current(connection)
    migrate(connection)
    made = names(connection)
    migrate(connection)
    assert is_current(connection)
    assert names(connection) == made
    assert connection.execute("SELECT step FROM schema_steps").fetchall() == [(number,) for number, _ in steps()]


def test_a_file_that_is_behind_gets_the_steps_that_it_lacks(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(connection)
    further = [*steps(), (99, "CREATE TABLE further (i INTEGER)")]
    monkeypatch.setattr(schema, "steps", lambda: further)
    assert not is_current(connection)
    migrate(connection)
    assert is_current(connection)
    assert "further" in names(connection)


def test_a_step_that_fails_leaves_nothing_of_itself(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "steps", lambda: BROKEN)
    with pytest.raises(duckdb.CatalogException):
        migrate(connection)
    connection.rollback()
    assert names(connection) == {"schema_steps", "one"}
    assert not is_current(connection)


@pytest.mark.parametrize(("number", "sql"), steps())
def test_the_sql_keeps_to_what_ducklake_takes(number: int, sql: str) -> None:
    assert number
    words = sql.upper()
    for word in ("PRIMARY KEY", "UNIQUE", "REFERENCES", "ON CONFLICT", "INDEX", "SEQUENCE", "GENERATED", "ENUM"):
        assert word not in words
