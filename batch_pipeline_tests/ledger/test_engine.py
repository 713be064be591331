from __future__ import annotations

import os
import signal
import stat
import threading
from functools import partial
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from batch_pipeline.ledger import fingerprints, jobs, meta
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.migrations import HEAD
from batch_pipeline_tests.ledger.rows import job, ledger_in
from batch_pipeline_tests.processes import at_once, processes


def open_and_count_up(url: str, _folder: Path, _number: int) -> tuple[int, str]:
    ledger = Ledger(url)
    with ledger.begin() as db:
        counted = meta.count_up(db, "opened")
    with ledger.read() as db:
        revision = db.scalar(text("SELECT version_num FROM alembic_version"))
    ledger.close()
    return counted, str(revision)


def test_processes_that_open_a_new_ledger_at_once_all_find_it_whole(ledger_url: str, tmp_path: Path) -> None:
    """Two that change a new file to WAL at once get "database is locked", whatever the time-out."""
    ends = at_once(4, partial(open_and_count_up, ledger_url), tmp_path)
    assert sorted(ends) == [(number, HEAD) for number in (1, 2, 3, 4)]


def test_only_their_owner_reads_the_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ledger = ledger_in(tmp_path)
        with ledger.begin() as db:
            meta.put(db, "secret", "words")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "var").iterdir()}
    finally:
        os.umask(before)
    ledger.close()
    assert modes == dict.fromkeys(["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"], 0o600)
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700


def test_what_is_committed_is_on_the_disk(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path)
    with ledger.begin() as db:
        pragmas = [db.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")]
    ledger.close()
    assert pragmas == ["wal", 2, 1]


def test_a_long_log_is_written_back_and_a_reader_does_not_hold_that_up(tmp_path: Path) -> None:
    ledger, log = ledger_in(tmp_path), tmp_path / "var" / "ledger.db-wal"
    with ledger.begin() as db:
        meta.put(db, "before", 1)
    ledger.write_back()  # it is short
    assert log.stat().st_size > 0
    with ledger.read() as view:
        meta.get(view, "before")
        with ledger.begin(alone=False) as db:
            fingerprints.take(db, "job", {f"{number:064x}": "x" * 50 for number in range(20_000)})
        long = log.stat().st_size
        ledger.write_back()
        assert meta.get(view, "before") == 1
    ledger.write_back()
    with ledger.begin() as db:
        meta.put(db, "after", 1)
    assert log.stat().st_size <= long  # from its beginning again
    with ledger.read() as db:
        assert len(fingerprints.holders(db, [f"{number:064x}" for number in range(20_000)])) == 20_000
    ledger.close()


def write_and_fail(db: Connection) -> None:
    meta.put(db, "cursor", 7)
    raise ZeroDivisionError


def test_an_exception_takes_everything_back(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    with pytest.raises(ZeroDivisionError), ledger.begin() as db:
        write_and_fail(db)
    with ledger.read() as db:
        assert meta.get(db, "cursor") is None
    ledger.close()


def test_a_reader_sees_one_state_and_hinders_no_writer(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    with ledger.read() as db:
        assert meta.get(db, "cursor") is None
        with ledger.begin() as other:
            meta.put(other, "cursor", 7)
        assert meta.get(db, "cursor") is None
    with ledger.read() as db:
        assert meta.get(db, "cursor") == 7
    ledger.close()


def test_a_transaction_holds_off_other_writers_from_its_beginning(tmp_path: Path) -> None:
    """One that reads, then writes, must not be overtaken in between: a sum of what is spent would be too small."""
    ledger, impatient = ledger_in(tmp_path), ledger_in(tmp_path)
    with impatient.engine.connect() as db:
        db.exec_driver_sql("PRAGMA busy_timeout = 0")
    with ledger.begin(), pytest.raises(OperationalError, match="database is locked"), impatient.begin():
        pass
    ledger.close()
    impatient.close()


def test_threads_share_a_ledger(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)

    def count() -> None:
        for _ in range(10):
            with ledger.begin() as db:
                meta.count_up(db, "counter")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.read() as db:
        assert meta.get(db, "counter") == 40
    ledger.close()


def write_and_wait(url: str, ready: Pipe) -> None:
    with Ledger(url).begin() as db:
        jobs.open_job(db, job("half"))
        ready.send("written")
        ready.recv()


def test_a_writer_that_is_killed_leaves_no_lock_and_nothing_half_written(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    with ledger.begin() as db:
        jobs.open_job(db, job("whole"))
    ours, theirs = processes.Pipe()
    writer = processes.Process(target=write_and_wait, args=(ledger_url, theirs))
    writer.start()
    assert ours.recv() == "written"
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    with ledger.begin() as db:
        assert [found.job_id for found in jobs.newest(db)] == ["whole"]
        jobs.open_job(db, job("next"))
    for pipe in (ours, theirs):
        pipe.close()
    ledger.close()


def have(url: str, told: Pipe) -> None:
    with Ledger(url).to_itself("plan of job") as alone:
        told.send(alone)
        told.recv()


def test_a_name_is_had_until_its_process_dies(ledger_url: str) -> None:
    """A file of SQLite is on one disk, where locks on files do it."""
    ledger = Ledger(ledger_url)
    ours, theirs = processes.Pipe()
    other = processes.Process(target=have, args=(ledger_url, theirs))
    other.start()
    assert ours.recv()
    on_one_disk = ledger_url.startswith("sqlite")
    with ledger.to_itself("plan of job", wait=False) as alone, ledger.to_itself("plan of another", wait=False) as both:
        assert (alone, both) == (on_one_disk, True)
    assert other.pid is not None
    os.kill(other.pid, signal.SIGKILL)
    with ledger.to_itself("plan of job") as alone:
        assert alone
    other.join()
    for pipe in (ours, theirs):
        pipe.close()
    ledger.close()
