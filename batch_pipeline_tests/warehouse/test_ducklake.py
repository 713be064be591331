"""What only a lake can do, or have done to it, with a real Postgres."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import duckdb
import pytest

from batch_pipeline.errors import InvalidSettings, UsageError, WarehouseBusy, WarehouseUnreachable
from batch_pipeline.warehouse import extensions
from batch_pipeline.warehouse.answers import make_table
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.ducklake import LakeStore
from batch_pipeline.warehouse.foreign_sql import one_select
from batch_pipeline.warehouse.locations import DuckLake, Location, located
from batch_pipeline.warehouse.upkeep import keep_up
from batch_pipeline_tests.processes import at_once
from batch_pipeline_tests.scale.lakes import new_lake
from batch_pipeline_tests.scale.postgres import PASSWORD, PostgresServer
from batch_pipeline_tests.warehouse.holders import ROW, count
from batch_pipeline_tests.warehouse.test_foreign_sql import LET_THROUGH, REFUSED

pytestmark = pytest.mark.scale

PARTITIONS, ROWS = 10, 5_000
ORDERS = {1: 1, 2: 3, 3: 7, 4: 9}
REPLACE = """
    DELETE FROM {table} WHERE batch_id = 'batch-{partition}';
    INSERT INTO {table} (custom_id, batch_id, task, input_tokens)
    SELECT 'r' || i, 'batch-{partition}', 'mood', {value} FROM range({rows}) AS rows(i);
"""


@pytest.fixture
def lake(postgres: PostgresServer, tmp_path: Path) -> Generator[Warehouse]:
    with ExitStack() as stack:
        settings = new_lake(postgres, tmp_path / "lake", stack)
        yield Warehouse(located(str(settings["warehouse_url"]), str(settings["warehouse_data"])), wait_seconds=60)


def rows_of(warehouse: Warehouse, sql: str) -> list[tuple[object, ...]]:
    with warehouse.read() as connection:
        return connection.execute(sql).fetchall()


def replace_rows(connection: duckdb.DuckDBPyConnection, partition: int = 0, value: int = 0, rows: int = 3) -> None:
    connection.execute(REPLACE.format(table="batch_results", partition=partition, value=value, rows=rows))


def test_without_the_lock_two_writers_of_the_same_rows_double_them_in_silence(lake: Warehouse) -> None:
    """This is what the lock is for; should DuckLake refuse it one day, the lock can go."""
    assert count(lake) == 0
    assert isinstance(lake.location, DuckLake)
    store = LakeStore(lake.location)
    with store.use("write", 0) as one, store.use("write", 0) as other:
        for connection in (one, other):
            connection.begin()
            replace_rows(connection)
        one.commit()
        other.commit()
    store.close()
    assert count(lake) == 6
    with lake.write() as connection:
        replace_rows(connection)
        with pytest.raises(WarehouseBusy, match="has been writing to"), lake.patient(0).write():
            pass
    assert count(lake) == 3


def load(location: Location, _folder: Path, number: int) -> None:
    """Writes each partition twice, in an order of its own; the first process reads meanwhile."""
    warehouse = Warehouse(location)
    if number == 0:
        while len(seen := rows_of(warehouse, SEEN)) < PARTITIONS:
            assert all(rows == ROWS and values == 1 for _, rows, values in seen)
        return
    for partition in range(PARTITIONS):
        at = partition * ORDERS[number] % PARTITIONS
        warehouse.transact(partial(replace_rows, partition=at, value=number, rows=ROWS))
        warehouse.transact(partial(replace_rows, partition=at, value=number, rows=ROWS))


SEEN = """
    SELECT batch_id, count(*), count(DISTINCT input_tokens) FROM batch_results GROUP BY batch_id ORDER BY batch_id
"""


@pytest.mark.timeout(300)
def test_processes_that_load_the_same_partitions_again_and_again_leave_each_row_once(
    lake: Warehouse, tmp_path: Path
) -> None:
    at_once(1 + len(ORDERS), partial(load, lake.location), tmp_path)
    assert rows_of(lake, SEEN) == [(f"batch-{n}", ROWS, 1) for n in range(PARTITIONS)]
    assert rows_of(lake, "SELECT count(DISTINCT (batch_id, custom_id)) FROM batch_results") == [(PARTITIONS * ROWS,)]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_after_a_restart_of_postgres_all_goes_on(lake: Warehouse, postgres: PostgresServer, mode: str) -> None:
    with lake.write() as connection:
        connection.execute(ROW)
    tries: list[int] = []

    def interrupted(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(ROW)
        tries.append(len(tries))
        if len(tries) == 1:
            postgres.restart("fast" if mode == "fast" else "immediate")

    lake.transact(interrupted)
    assert len(tries) == 2
    assert count(lake) == 2


def test_while_postgres_is_away_it_is_said_in_one_sentence_without_the_password(
    lake: Warehouse, postgres: PostgresServer
) -> None:
    assert count(lake) == 0
    told: list[str] = []
    postgres.halt()
    try:
        for use in (lake.read, lake.guarded, lake.write, lake.write_lock):
            with pytest.raises(WarehouseUnreachable, match=r"can't be reached: .*Run this again") as refused, use():
                count(lake)
            told.append(str(refused.value))
        with pytest.raises(WarehouseUnreachable):
            lake.version()
    finally:
        postgres.start_again()
    assert not any(PASSWORD in text or "\n" in text for text in told)
    assert count(lake) == 0


def test_the_password_is_shown_nowhere(lake: Warehouse) -> None:
    assert PASSWORD not in f"{lake.name} {lake.location!r}"
    with lake.read() as connection:
        shown = connection.execute("FROM duckdb_databases()").fetchall(), connection.execute("FROM duckdb_secrets()")
        assert PASSWORD not in str(shown[0]) + str(shown[1].fetchall())


@pytest.mark.parametrize(
    "sql",
    [
        "FROM __ducklake_metadata_warehouse.public.ducklake_data_file",
        'SELECT 1 IN (SELECT 1 FROM "__DuckLake_metadata_warehouse".pg_catalog.pg_authid)',
        "FROM postgres_query('__ducklake_metadata_warehouse', 'SELECT pg_read_file(''/etc/passwd'')')",
        "FROM postgres_scan('host=x', 'public', 'jobs')",
        "FROM ducklake_snapshots('warehouse')",
        "FROM warehouse.snapshots()",
    ],
)
def test_sql_of_others_reaches_no_catalogue(lake: Warehouse, sql: str) -> None:
    with lake.guarded() as connection, pytest.raises(UsageError, match="may not"):
        one_select(connection, sql)


def test_sql_of_others_is_let_through_and_refused_as_on_a_file(lake: Warehouse) -> None:
    with lake.guarded() as connection:
        for sql in LET_THROUGH:
            connection.execute(f"DESCRIBE SELECT * FROM (\n{one_select(connection, sql)}\n)")
        for sql, says in REFUSED:
            with pytest.raises(UsageError) as refused:
                one_select(connection, sql)
            assert says in str(refused.value)


def test_sql_of_others_reads_no_file_beside_the_data(lake: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "lake-of-others").mkdir()
    (tmp_path / "lake-of-others" / "a.csv").write_text("a")
    for path in ("/etc/passwd", tmp_path / "lake-of-others" / "a.csv", tmp_path / "lake" / ".." / "a.csv"):
        with lake.guarded() as connection, pytest.raises(duckdb.PermissionException):
            connection.execute(f"FROM read_text('{path}')")


def test_a_table_has_a_folder_for_each_repository_and_night(lake: Warehouse, tmp_path: Path) -> None:
    with lake.write() as connection:
        make_table(connection, "mood", {"label": "VARCHAR"})
        for table in ("mood", "issue_versions"):
            connection.execute(f"INSERT INTO {table} (record_id, repo, night) VALUES ('1', 'a/b', '2026-11-20')")
    found = {str(file.parent.relative_to(tmp_path / "lake")) for file in tmp_path.rglob("*.parquet")}
    assert found == {f"main/{table}/repo=a%2Fb/night=2026-11-20" for table in ("mood", "issue_versions")}


def test_a_column_that_another_process_adds_is_seen_by_who_reads_and_writes_already(lake: Warehouse) -> None:
    assert isinstance(lake.location, DuckLake)
    other = LakeStore(lake.location)
    with lake.write() as connection:
        make_table(connection, "mood", {"label": "VARCHAR"})
        connection.execute("INSERT INTO mood (record_id, label) VALUES ('1', 'bug')")
    assert rows_of(lake, "SELECT label FROM mood_latest") == [("bug",)]
    with other.use("write", 0) as connection:
        connection.begin()
        make_table(connection, "mood", {"label": "VARCHAR", "severity": "BIGINT"})
        connection.execute("INSERT INTO mood (record_id, label, severity) VALUES ('2', 'bug', 3)")
        connection.commit()
    other.close()
    assert rows_of(lake, "SELECT severity FROM mood_latest ORDER BY record_id") == [(None,), (3,)]
    with lake.write() as connection:
        connection.execute("INSERT INTO mood BY NAME SELECT '3' AS record_id, 4 AS severity")
    assert rows_of(lake, "SELECT severity FROM mood_latest ORDER BY record_id") == [(None,), (3,), (4,)]


def test_the_upkeep_leaves_each_row_and_few_files(lake: Warehouse, tmp_path: Path) -> None:
    for partition in range(4):
        with lake.write() as connection:
            replace_rows(connection, partition, rows=100)
    with lake.write() as connection:
        connection.execute("DELETE FROM batch_results WHERE custom_id > 'r5'")
    before = rows_of(lake, "SELECT * FROM batch_results ORDER BY ALL")
    kept = keep_up(lake)
    assert kept is not None
    assert (kept.rewritten, kept.forgotten, kept.deleted) == (4, 0, 0)
    assert len(list(tmp_path.rglob("*.parquet"))) > 4
    (orphan := tmp_path / "lake" / "main" / "batch_results" / "left.parquet").write_text("left by a writer")
    keep_up(lake, keep_days=0)
    keep_up(lake, keep_days=0)
    assert rows_of(lake, "SELECT * FROM batch_results ORDER BY ALL") == before
    assert not orphan.exists()
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_a_file_needs_no_upkeep(tmp_path: Path) -> None:
    assert keep_up(Warehouse(tmp_path / "warehouse.duckdb")) is None
    assert not list(tmp_path.iterdir())


def test_data_that_is_elsewhere_than_the_settings_say_is_not_taken_for_an_empty_lake(
    lake: Warehouse, tmp_path: Path
) -> None:
    assert count(lake) == 0
    assert isinstance(lake.location, DuckLake)
    with pytest.raises(InvalidSettings, match=r"has its data elsewhere .* Set BATCH_PIPELINE_WAREHOUSE_DATA"):
        count(Warehouse(DuckLake(lake.location.catalogue, f"{tmp_path}/other/")))


def none(_name: str) -> None:
    """No package."""


def test_what_is_not_installed_is_named_with_its_extra(lake: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "find_spec", none)
    with pytest.raises(InvalidSettings, match=r"`postgres_scanner`, .*: pip install 'batch_pipeline\[ducklake\]'\.$"):
        count(lake)


def test_a_query_that_spills_writes_to_no_working_directory(lake: Warehouse) -> None:
    with lake.read() as connection:
        ((folder,),) = connection.execute("SELECT current_setting('temp_directory')").fetchall()
    assert str(os.getpid()) in folder
