from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import duckdb
import pytest

from batch_pipeline.errors import WarehouseBusy, WarehouseConflict
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.locations import Location
from batch_pipeline.warehouse.schema import steps
from batch_pipeline_tests.processes import at_once
from batch_pipeline_tests.warehouse.holders import COUNT, ROW, count, held, variables


def test_a_write_is_committed_at_its_end_and_an_exception_takes_it_back(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute(ROW)
    with pytest.raises(ZeroDivisionError), warehouse.write() as connection:
        fail_in(connection)
    with pytest.raises(duckdb.CatalogException), warehouse.write() as connection:
        connection.execute("INSERT INTO nowhere VALUES (1)")
    assert count(warehouse) == 1


def fail_in(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(ROW)
    raise ZeroDivisionError


def test_a_read_that_fails_is_closed(warehouse: Warehouse) -> None:
    with pytest.raises(duckdb.CatalogException), warehouse.read() as connection:
        connection.execute("FROM nowhere")
    with warehouse.write() as connection:
        connection.execute(ROW)
    assert count(warehouse) == 1


def test_a_reader_can_not_write(warehouse: Warehouse) -> None:
    with pytest.raises(duckdb.Error, match="read-only"), warehouse.read() as connection:
        connection.execute(ROW)


def test_times_are_utc_whatever_the_machine_says(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with warehouse.read() as connection:
        assert connection.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_threads_that_read_and_write_take_turns(warehouse: Warehouse) -> None:
    """DuckDB refuses to open a file twice in a process in different configurations."""
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(5):
                if number % 2:
                    with warehouse.write() as connection:
                        connection.execute(ROW)
                else:
                    count(warehouse)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
            errors.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert count(warehouse) == 10


def test_readers_read_side_by_side(warehouse: Warehouse) -> None:
    with warehouse.read() as one, warehouse.read() as other:
        assert one.execute(COUNT).fetchall() == other.execute(COUNT).fetchall()


def write_once(location: Location, environment: Mapping[str, str], _folder: Path, _number: int) -> int:
    os.environ.update(environment)
    warehouse = Warehouse(location)
    with warehouse.write() as connection:
        connection.execute(ROW)
    return count(warehouse)


def test_processes_that_make_the_tables_and_write_at_once_all_get_their_turn(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    counts = at_once(3, partial(write_once, warehouse.location, variables()), tmp_path)
    assert max(counts) == 3
    with warehouse.read() as connection:
        assert connection.execute("SELECT step FROM schema_steps ORDER BY step").fetchall() == [
            (number,) for number, _ in steps()
        ]


def test_a_writer_that_is_another_process_is_waited_for_by_its_lock(warehouse: Warehouse) -> None:
    assert count(warehouse) == 0
    impatient = warehouse.patient(0)
    with held(warehouse, "locks"):
        assert count(impatient) == 0  # the lock is the writers'; the file itself is free
        with pytest.raises(WarehouseBusy, match=r"process.* has been writing to .* for 0 s\. Noth"):
            impatient.write().__enter__()


def test_a_writer_that_is_killed_lets_go_and_leaves_nothing_half_written(warehouse: Warehouse) -> None:
    assert count(warehouse) == 0
    with held(warehouse, "writes") as (pid, _):
        os.kill(pid, signal.SIGKILL)
        with warehouse.write() as connection:
            connection.execute(ROW)
    assert count(warehouse) == 1


def test_sql_of_others_can_not_write_reach_files_or_be_let_out(warehouse: Warehouse, tmp_path: Path) -> None:
    assert count(warehouse) == 0
    (tmp_path / "secrets.csv").write_text("a\n1\n")
    for sql in (
        ROW,
        f"SELECT * FROM '{tmp_path}/secrets.csv'",
        f"COPY batch_results TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/other.duckdb'",
        "SET enable_external_access = true",
        "SELECT * FROM read_text('/etc/passwd')",
        "INSTALL avro",
        "LOAD avro",
    ):
        with pytest.raises(duckdb.Error), warehouse.guarded() as connection:
            connection.execute(sql)
    with warehouse.guarded() as connection:
        assert connection.execute(COUNT).fetchall() == [(0,)]
    with warehouse.write() as connection:  # and none of it is left behind
        connection.execute(f"COPY (SELECT 1) TO '{tmp_path}/out.csv'")


def test_a_transaction_that_met_a_conflict_is_done_again_from_its_beginning(warehouse: Warehouse) -> None:
    tries: list[int] = []

    def work(connection: duckdb.DuckDBPyConnection) -> int:
        connection.execute(ROW)
        tries.append(len(tries))
        if len(tries) < 2:
            raise duckdb.TransactionException("Transaction conflict")
        return len(tries)

    assert warehouse.transact(work) == 2
    assert count(warehouse) == 1


def test_a_conflict_is_told_in_one_sentence_and_changes_nothing(warehouse: Warehouse) -> None:
    with (
        pytest.raises(WarehouseConflict, match=r"nothing was changed\. Run this again\.$"),
        warehouse.write() as connection,
    ):
        conflict_in(connection)
    assert count(warehouse) == 0


def conflict_in(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(ROW)
    raise duckdb.TransactionException("Transaction conflict")


def test_another_number_after_each_write(warehouse: Warehouse) -> None:
    assert count(warehouse) == 0
    before = warehouse.version()
    assert before == warehouse.version()
    with warehouse.write() as connection:
        connection.execute(ROW)
    assert warehouse.version() != before
