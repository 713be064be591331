"""Many uses with one opening of the file."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pytest

from batch_pipeline.errors import WarehouseBusy
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline_tests.warehouse.holders import COUNT, ROW, count, held


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    made = Warehouse(tmp_path / "warehouse.duckdb", wait_seconds=30)
    assert count(made) == 0
    return made


def write_row(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute(ROW)


def test_it_stays_open_between_writes_and_reads(warehouse: Warehouse) -> None:
    with warehouse.kept_open():
        write_row(warehouse)
        with warehouse.read() as outer, warehouse.read() as inner:
            assert outer.execute(COUNT).fetchall() == inner.execute(COUNT).fetchall() == [(1,)]
        with pytest.raises(duckdb.BinderException, match="already attached"):  # DuckDB's word for open
            duckdb.connect(str(warehouse.path), read_only=True)
        write_row(warehouse)
    assert count(warehouse) == 2


def test_a_write_that_fails_is_taken_back_and_the_next_one_counts(warehouse: Warehouse) -> None:
    def fail() -> None:
        with warehouse.write() as connection:
            connection.execute(ROW)
            raise ValueError("of ours")

    with warehouse.kept_open():
        with pytest.raises(ValueError, match="of ours"):
            fail()
        write_row(warehouse)
    assert count(warehouse) == 1


def test_it_is_closed_at_the_end_whatever_happens(warehouse: Warehouse) -> None:
    def fail() -> None:
        with warehouse.kept_open():
            write_row(warehouse)
            raise ValueError("of ours")

    with pytest.raises(ValueError, match="of ours"):
        fail()
    with held(warehouse, "foreign"):  # another process could open it
        pass


def test_another_thread_waits_for_its_turn(warehouse: Warehouse) -> None:
    seen = list[int]()
    others = [
        threading.Thread(target=lambda: seen.append(count(warehouse))),
        threading.Thread(target=write_row, args=[warehouse]),
    ]
    with warehouse.kept_open():
        for other in others:
            other.start()
        others[0].join(0.1)
        for _ in range(3):
            write_row(warehouse)
        assert not seen
    for other in others:
        other.join()
    assert seen[0] in (3, 4)
    assert count(warehouse) == 4


def test_sql_of_others_is_guarded_in_it_too(warehouse: Warehouse) -> None:
    with warehouse.kept_open():
        write_row(warehouse)
        with warehouse.guarded() as connection:
            assert connection.execute(COUNT).fetchall() == [(1,)]
            with pytest.raises(duckdb.PermissionException):
                connection.execute("FROM read_text('/etc/hostname')")
        write_row(warehouse)
    assert count(warehouse) == 2


def test_a_writer_elsewhere_is_waited_for_and_no_longer_than_that(warehouse: Warehouse) -> None:
    with held(warehouse, "writes"), pytest.raises(WarehouseBusy), warehouse.patient(0).kept_open():
        raise AssertionError("it is held")
