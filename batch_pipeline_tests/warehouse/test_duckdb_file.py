from __future__ import annotations

import logging
import os
import stat
import threading
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import duckdb
import pytest

from batch_pipeline.errors import WarehouseBusy
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.duckdb_file import ROW_GROUP
from batch_pipeline_tests.warehouse.holders import COUNT, ROW, How, count, held


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "var" / "warehouse.duckdb", wait_seconds=30)


def test_it_is_made_when_it_is_first_used_and_only_its_owner_reads_it(warehouse: Warehouse) -> None:
    assert not warehouse.path.exists()
    before = os.umask(0)
    try:
        assert count(warehouse) == 0
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in warehouse.path.parent.iterdir()}
    assert modes == {"warehouse.duckdb": 0o600, "warehouse.duckdb.lock": 0o600}
    assert stat.S_IMODE(warehouse.path.parent.stat().st_mode) == 0o700


def test_a_file_that_was_removed_meanwhile_is_made_again(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute(ROW)
    warehouse.path.unlink()
    assert count(warehouse) == 0
    assert stat.S_IMODE(warehouse.path.stat().st_mode) == 0o600


def test_two_names_of_one_file_take_turns_too(warehouse: Warehouse, tmp_path: Path) -> None:
    assert count(warehouse) == 0
    (tmp_path / "link").symlink_to(warehouse.path.parent)
    other = Warehouse(tmp_path / "link" / "warehouse.duckdb")
    writer = threading.Thread(target=write_row, args=[other])
    with warehouse.read() as connection:
        writer.start()
        writer.join(0.1)  # it waits: there is nothing else to see
        assert connection.execute(COUNT).fetchall() == [(0,)]
    writer.join()
    assert count(warehouse) == 1


def write_row(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute(ROW)


@pytest.mark.parametrize("how", ["foreign", "writes"])
def test_a_process_that_holds_the_file_is_waited_for_and_named_in_the_log(
    warehouse: Warehouse, how: How, caplog: pytest.LogCaptureFixture
) -> None:
    assert count(warehouse) == 0
    with held(warehouse, how) as (pid, pipe):
        letting_go = LettingGo(pipe)
        logging.getLogger("batch_pipeline.warehouse.duckdb_file").addHandler(letting_go)
        try:
            found = count(warehouse)
        finally:
            logging.getLogger("batch_pipeline.warehouse.duckdb_file").removeHandler(letting_go)
    assert found == (1 if how == "writes" else 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"warehouse.duckdb is held by process {pid} (" in caplog.text
    assert caplog.text.rstrip().endswith("): waiting")


class LettingGo(logging.Handler):
    """Tells the holder to let go as soon as the log says that it is waited for."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        self._pipe.send("let go")


def test_a_process_that_holds_the_file_for_too_long_is_named_in_the_error(warehouse: Warehouse) -> None:
    assert count(warehouse) == 0
    impatient = Warehouse(warehouse.path, wait_seconds=0)
    with held(warehouse, "foreign") as (pid, _):
        with pytest.raises(WarehouseBusy, match=rf"warehouse.duckdb has been held by process {pid} \(.* for 0 s\. "):
            count(impatient)
        with pytest.raises(WarehouseBusy, match=f"held by process {pid}"), impatient.write():
            pass
    assert count(impatient) == 0


def test_nothing_is_left_open(warehouse: Warehouse) -> None:
    write_row(warehouse)
    with duckdb.connect(str(warehouse.path)) as foreign:
        assert foreign.execute(COUNT).fetchall() == [(1,)]


def test_a_commit_compresses_few_rows_anew(warehouse: Warehouse) -> None:
    """In DuckDB's own groups of 122,880, the last one is compressed with each commit."""
    for start in (0, 20_000, 40_000):
        with warehouse.write() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")
            connection.execute(f"INSERT INTO numbers FROM range({start}, {start + 20_000})")
    with warehouse.read() as connection:
        groups = connection.execute(
            "SELECT row_group_id, max(start + count) FROM pragma_storage_info('numbers') GROUP BY 1"
        ).fetchall()
        assert connection.execute("SELECT count(*) FROM numbers").fetchall() == [(60_000,)]
    assert len(groups) >= 60_000 // ROW_GROUP


def test_what_somebody_writes_with_in_this_process_is_shared_with_them(warehouse: Warehouse) -> None:
    assert count(warehouse) == 0
    with duckdb.connect(str(warehouse.path)) as foreign:
        write_row(warehouse)
        assert foreign.execute(COUNT).fetchall() == [(1,)]
    assert count(warehouse) == 1


def test_what_somebody_reads_with_in_this_process_is_theirs_to_close(warehouse: Warehouse) -> None:
    assert count(warehouse) == 0
    with (
        duckdb.connect(str(warehouse.path), read_only=True),
        pytest.raises(WarehouseBusy, match="in this very process"),
    ):
        write_row(warehouse)
    write_row(warehouse)


@pytest.mark.parametrize("name", ["other", "my rows", "memory", "main", "a.b"])
def test_a_file_has_one_name_for_readers_and_writers(tmp_path: Path, name: str) -> None:
    warehouse = Warehouse(tmp_path / f"{name}.duckdb", wait_seconds=30)
    with warehouse.write() as connection:
        ((written,),) = connection.execute("SELECT current_catalog()").fetchall()
        connection.execute(f"""CREATE VIEW seen AS FROM "{written}".main.batch_results""")
    with warehouse.read() as connection:
        assert connection.execute("FROM seen").fetchall() == []
