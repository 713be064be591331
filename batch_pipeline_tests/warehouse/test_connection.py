from __future__ import annotations

import logging
import os
import signal
import stat
import threading
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Literal

import duckdb
import pytest

from batch_pipeline.errors import WarehouseBusy
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.schema import steps
from batch_pipeline_tests.processes import at_once, processes

COUNT = "SELECT count(*) FROM batch_results"
ROW = "INSERT INTO batch_results (custom_id) VALUES ('r')"
How = Literal["foreign", "writes", "locks"]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "var" / "warehouse.duckdb", wait_seconds=30)


def count(warehouse: Warehouse) -> int:
    with warehouse.read() as connection:
        (found,) = connection.execute(COUNT).fetchall()
    return found[0]


def hold(path: Path, how: How, pipe: Pipe) -> None:
    """Holds the file until it is told to let go."""
    if how == "foreign":  # a program that knows nothing of this project
        with duckdb.connect(str(path)):
            pipe.send("held")
            pipe.recv()
    elif how == "writes":
        with Warehouse(path).write() as connection:
            connection.execute(ROW)
            pipe.send("held")
            pipe.recv()
    else:
        with Warehouse(path).write_lock():
            pipe.send("held")
            pipe.recv()


@contextmanager
def held(path: Path, how: How) -> Generator[tuple[int, Pipe]]:
    """Another process holds the file; its pid, and what to send to for it to let go."""
    ours, theirs = processes.Pipe()
    holder = processes.Process(target=hold, args=(path, how, theirs))
    holder.start()
    try:
        assert ours.recv() == "held"
        assert holder.pid is not None
        yield holder.pid, ours  # pyright: ignore[reportReturnType] - a pipe's end
    finally:
        ours.close()
        theirs.close()
        holder.kill()
        holder.join()
        holder.close()


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


def test_a_write_is_committed_at_its_end_and_an_exception_takes_it_back(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute(ROW)
    with pytest.raises(ZeroDivisionError), warehouse.write() as connection:
        fail_in(connection)
    with pytest.raises(duckdb.CatalogException), warehouse.write() as connection:
        connection.execute("INSERT INTO nowhere VALUES (1)")
    assert count(warehouse) == 1
    with duckdb.connect(str(warehouse.path)) as foreign:  # nothing is left open
        assert foreign.execute(COUNT).fetchall() == [(1,)]


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
    with pytest.raises(duckdb.InvalidInputException, match="read-only"), warehouse.read() as connection:
        connection.execute(ROW)


def test_times_are_utc_whatever_the_machine_says(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with warehouse.read() as connection:
        assert connection.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


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


def write_once(folder: Path, _number: int) -> int:
    warehouse = Warehouse(folder / "warehouse.duckdb")
    with warehouse.write() as connection:
        connection.execute(ROW)
    return count(warehouse)


def test_processes_that_make_the_file_and_write_at_once_all_get_their_turn(tmp_path: Path) -> None:
    counts = at_once(3, write_once, tmp_path)
    assert max(counts) == 3
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with warehouse.read() as connection:
        assert connection.execute("SELECT step FROM schema_steps ORDER BY step").fetchall() == [
            (number,) for number, _ in steps()
        ]


@pytest.mark.parametrize("how", ["foreign", "writes"])
def test_a_process_that_holds_the_file_is_waited_for_and_named_in_the_log(
    warehouse: Warehouse, how: How, caplog: pytest.LogCaptureFixture
) -> None:
    assert count(warehouse) == 0
    with held(warehouse.path, how) as (pid, pipe):
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
    with held(warehouse.path, "foreign") as (pid, _):
        with pytest.raises(WarehouseBusy, match=rf"warehouse.duckdb has been held by process {pid} \(.* for 0 s\. "):
            count(impatient)
        with pytest.raises(WarehouseBusy, match=f"held by process {pid}"), impatient.write():
            pass
    assert count(impatient) == 0


def test_a_writer_that_is_another_process_is_waited_for_by_its_lock(warehouse: Warehouse) -> None:
    assert count(warehouse) == 0
    impatient = Warehouse(warehouse.path, wait_seconds=0)
    with held(warehouse.path, "locks"):
        assert count(impatient) == 0  # the lock is the writers'; the file itself is free
        with pytest.raises(WarehouseBusy, match=r"Another process has been writing to warehouse.duckdb for 0 s\. Noth"):
            impatient.write().__enter__()


def test_a_writer_that_is_killed_lets_go_and_leaves_nothing_half_written(warehouse: Warehouse) -> None:
    assert count(warehouse) == 0
    with held(warehouse.path, "writes") as (pid, _):
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
        "INSTALL httpfs",
        "LOAD httpfs",
    ):
        with pytest.raises(duckdb.Error), warehouse.guarded() as connection:
            connection.execute(sql)
    with warehouse.guarded() as connection:
        assert connection.execute(COUNT).fetchall() == [(0,)]
    with warehouse.write() as connection:  # and none of it is left behind
        connection.execute(f"COPY (SELECT 1) TO '{tmp_path}/out.csv'")
