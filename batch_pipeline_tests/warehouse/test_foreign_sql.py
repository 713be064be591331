from __future__ import annotations

import pytest

from batch_pipeline.errors import UsageError
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.foreign_sql import one_select, tables_at_hand

LET_THROUGH = [
    *("FROM issues", "SELECT 1;", "SELECT 1 -- one", "VALUES (1)", "WITH a AS (SELECT 1) FROM a", "FROM range(3)"),
    *("DESCRIBE issues", "SHOW TABLES", "SELECT * FROM issues PIVOT (count(*) FOR state IN ('open'))"),
    "SELECT n, t FROM (SELECT 1 AS n, unnest(['a', 'b;']) AS t) -- two;",
]

REFUSED = [
    ("COPY issues TO '/tmp/never.csv'", "a COPY"),
    ("COPY (SELECT 1) TO '/tmp/never.parquet'", "a COPY"),
    ("EXPORT DATABASE '/tmp/never'", "an EXPORT"),
    ("IMPORT DATABASE '/tmp/never'", "Cannot access file"),
    ("ATTACH '/tmp/never.duckdb' AS never", "an ATTACH"),
    ("INSTALL httpfs", "a LOAD"),
    ("LOAD httpfs", "a LOAD"),
    ("SET threads = 1", "a SET"),
    ("SET VARIABLE a = 1", "a SET"),
    ("RESET threads", "a SET"),
    ("USE memory", "a SET"),
    ("PRAGMA database_list", "a PRAGMA"),
    ("CALL pragma_version()", "a CALL"),
    ("CREATE MACRO f() AS 1", "a CREATE"),
    ("CREATE TEMP TABLE t AS SELECT 1", "a CREATE"),
    ("INSERT INTO issue_versions (repo) VALUES ('a')", "an INSERT"),
    ("DELETE FROM issue_versions", "a DELETE"),
    ("DROP TABLE issue_versions", "a DROP"),
    ("PREPARE x AS SELECT 1", "a PREPARE"),
    ("BEGIN", "a TRANSACTION"),
    ("VACUUM", "a VACUUM"),
    ("UPDATE EXTENSIONS", "no SELECT"),
    ("SELECT 1; SELECT 2", "more than one"),
    ("SELECT 1; DROP TABLE issue_versions", "more than one"),
    ("SELECT 1) ; DROP TABLE issue_versions; SELECT (1", "syntax error"),
    ("PIVOT issues ON state USING count(*)", "more than one"),
    ("", "empty"),
    ("-- nothing", "empty"),
    ("SELEC 1", "syntax error"),
    ("FROM read_csv('/etc/passwd')", "`read_csv`"),
    ("FROM read_text('/etc/passwd')", "`read_text`"),
    ("FROM read_duckdb('/tmp/other.duckdb')", "`read_duckdb`"),
    ("FROM glob('/etc/*')", "`glob`"),
    ("SELECT (SELECT count(*) FROM Read_CSV('/etc/passwd'))", "`read_csv`"),
    ("SELECT getenv('OPENAI_API_KEY')", "`getenv`"),
    ("SELECT current_setting('temp_directory')", "`current_setting`"),
    ("FROM duckdb_secrets()", "`duckdb_secrets`"),
    ("FROM query('SELECT 1')", "`query`"),
    ("FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))", "`json_execute_serialized_sql`"),
    ("FROM enable_logging(storage='file', storage_path='/tmp/never')", "`enable_logging`"),
    ("WITH a AS (FROM enable_profiling(save_location='/tmp/never')) FROM a", "`enable_profiling`"),
    ("FROM issues WHERE EXISTS (FROM arrow_scan(1, 2, 3))", "`arrow_scan`"),
]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return Warehouse(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb")


@pytest.mark.parametrize("sql", LET_THROUGH)
def test_one_select_is_let_through_and_runs(warehouse: Warehouse, sql: str) -> None:
    with warehouse.guarded() as connection:
        connection.execute(f"DESCRIBE SELECT * FROM (\n{one_select(connection, sql)}\n)")


@pytest.mark.parametrize(("sql", "says"), REFUSED)
def test_everything_else_is_refused_in_one_sentence(warehouse: Warehouse, sql: str, says: str) -> None:
    with warehouse.guarded() as connection, pytest.raises(UsageError) as refused:
        one_select(connection, sql)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("sql", ["FROM '/etc/passwd'", "FROM 'never.parquet'", "FROM told"])
def test_a_file_or_a_variable_by_its_name_is_no_table(warehouse: Warehouse, sql: str) -> None:
    told = {"a": [1]}
    with warehouse.guarded() as connection, pytest.raises(Exception, match=r"not exist|Cannot access"):
        connection.execute(one_select(connection, sql))
    assert told


def test_a_connection_that_could_do_more_is_refused(warehouse: Warehouse) -> None:
    with warehouse.read() as connection, pytest.raises(RuntimeError, match="guarded"):
        one_select(connection, "SELECT 1")


def test_the_columns_at_hand_are_those_of_the_tables_that_are_named(warehouse: Warehouse) -> None:
    with warehouse.guarded() as connection:
        assert tables_at_hand(connection, "SELECT titel FROM Issues").startswith("`issues` has: record_id, repo, org")
        assert "issues, " in tables_at_hand(connection, "FROM nowhere")
