from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection as Pipe

import pytest
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError

from batch_pipeline.errors import InvalidSettings, LedgerUnavailable
from batch_pipeline.ledger import fingerprints, jobs, meta
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.fingerprints import Holder
from batch_pipeline.ledger.postgres import unsafe_settings
from batch_pipeline_tests.ledger.rows import job
from batch_pipeline_tests.processes import processes
from batch_pipeline_tests.scale.postgres import PASSWORD, PostgresServer

NOBODY_THERE = "postgresql://tester:marked-secret@127.0.0.1:9/ledger"


@pytest.fixture
def url(postgres: PostgresServer) -> Generator[str]:
    made = postgres.new_database()
    yield made
    postgres.drop(made)


@pytest.fixture
def ledger(url: str) -> Generator[Ledger]:
    made = Ledger(url)
    yield made
    made.close()


def opened(url: str) -> str:
    """The sentence, without the password, that a ledger can't be opened with."""
    with pytest.raises(LedgerUnavailable) as error, Ledger(url).read():
        pass
    told = str(error.value)
    assert (make_url(url).password or "") not in told
    return told


def impatient(url: str) -> Ledger:
    """One that waits for nobody."""
    return Ledger(f"{url}?options=-c%20lock_timeout=50")


def test_a_server_that_is_not_there_is_told_in_a_sentence() -> None:
    assert opened(NOBODY_THERE) == (
        "The ledger at 127.0.0.1:9/ledger can't be reached (Connection refused): "
        "start its server, or correct BATCH_PIPELINE_LEDGER_URL."
    )


@pytest.mark.parametrize(
    "url", ["mysql://user:marked-secret@host/name", "duckdb:///file", "sqlite://", "nothing at all"]
)
def test_what_is_neither_sqlite_nor_postgres_is_refused(url: str) -> None:
    with pytest.raises(InvalidSettings, match="BATCH_PIPELINE_LEDGER_URL") as error:
        Ledger(url)
    assert "marked-secret" not in str(error.value)


def test_without_its_driver_the_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "import importlib.util as util; found = util.find_spec\n"
        "from batch_pipeline.ledger.engine import Ledger\n"
        f"Ledger({NOBODY_THERE!r}).engine"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == (
        "batch_pipeline.errors.InvalidSettings: The ledger is on Postgres, and its driver is not installed: "
        "pip install 'batch_pipeline[postgres]'."
    )


@pytest.mark.scale
class TestServer:
    def test_a_wrong_password_and_a_database_that_is_not_there_are_told_apart(self, url: str) -> None:
        wrong = make_url(url).set(password="another-secret").render_as_string(hide_password=False)
        assert "refused the user or the password" in opened(wrong)
        assert "There is no database for the ledger at 127.0.0.1" in opened(f"{url}_more")

    @pytest.mark.parametrize("driver", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
    def test_whatever_the_url_calls_it_it_is_psycopg_3(self, url: str, driver: str) -> None:
        ledger = Ledger(url.replace("postgresql", driver, 1))
        with ledger.begin() as db:
            assert (db.dialect.driver, meta.count_up(db, "counter")) == ("psycopg", 1)
        ledger.close()

    def test_settings_of_the_connection_can_be_given_in_the_url(self, url: str) -> None:
        ledger = Ledger(f"{url}?application_name=mine&options=-c%20lock_timeout=50")
        with ledger.read() as db:
            shown = [db.scalar(text(f"SHOW {name}")) for name in ("application_name", "lock_timeout")]
            assert [*shown, db.scalar(text("SHOW statement_timeout"))] == ["mine", "50ms", "10min"]
        ledger.close()

    def test_settings_that_lose_what_was_committed_are_named(self, ledger: Ledger) -> None:
        with ledger.read() as db:
            assert unsafe_settings(db) == ["fsync", "full_page_writes"]

    def test_who_only_reads_can_not_write(self, ledger: Ledger) -> None:
        with pytest.raises(DBAPIError, match="read-only transaction"), ledger.read() as db:
            meta.put(db, "cursor", 7)

    def test_a_number_may_be_larger_than_32_bits(self, ledger: Ledger) -> None:
        with ledger.begin() as db:
            jobs.open_job(db, job(input_tokens=3_000_000_000_000))
        with ledger.read() as db:
            assert jobs.get(db, "job").input_tokens == 3_000_000_000_000


@pytest.mark.scale
class TestTurns:
    def test_a_transaction_holds_off_other_writers_from_its_beginning(self, url: str, ledger: Ledger) -> None:
        """One that reads, then writes, must not be overtaken in between, as on SQLite."""
        other = impatient(url)
        with ledger.begin(), pytest.raises(LedgerUnavailable, match="was written by others for longer"), other.begin():
            pass
        with ledger.begin(), other.read() as db:
            assert meta.get(db, "cursor") is None
        other.close()

    def test_what_is_many_rows_waits_for_nobody(self, url: str, ledger: Ledger) -> None:
        other = impatient(url)
        with ledger.begin() as db, other.begin(alone=False) as beside:
            assert fingerprints.take(db, "one", {"a": "1", "b": "2"}) == {}
            assert fingerprints.take(beside, "two", {"c": "3"}) == {}
        other.close()

    def test_who_wants_what_another_is_taking_waits_and_finds_its_holder(self, url: str, ledger: Ledger) -> None:
        held: list[dict[str, Holder]] = []

        def want() -> None:
            other = Ledger(url)
            with other.begin(alone=False) as db:
                held.append(fingerprints.take(db, "two", {"a": "1", "b": "2", "c": "3"}))
            other.close()

        with ledger.begin(alone=False) as db:
            fingerprints.take(db, "one", {"b": "2"})
            waits = threading.Thread(target=want)
            waits.start()
            until(db, lambda: waiting(db) == 1)
        waits.join()
        assert held == [{"b": Holder("one", "2")}]
        with ledger.read() as db:
            assert {fp: one.job_id for fp, one in fingerprints.holders(db, ["a", "b", "c"]).items()} == {
                "a": "two",
                "b": "one",
                "c": "two",
            }

    def test_a_process_that_is_stopped_in_a_transaction_stops_nobody_for_long(self, url: str, ledger: Ledger) -> None:
        ours, theirs = processes.Pipe()
        stopped = f"{url}?options=-c%20idle_in_transaction_session_timeout=200"
        writer = processes.Process(target=write_and_stop, args=(stopped, theirs))
        writer.start()
        assert ours.recv() == "written"
        with ledger.begin() as db:
            assert meta.get(db, "cursor") is None
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGCONT)
        assert "ended a transaction that did nothing" in ours.recv()
        writer.join(60)
        for pipe in (ours, theirs):
            pipe.close()


def write_and_stop(url: str, told: Pipe) -> None:
    ledger = Ledger(url)
    try:
        with ledger.begin() as db:
            meta.put(db, "cursor", 7)
            told.send("written")
            os.kill(os.getpid(), signal.SIGSTOP)
    except LedgerUnavailable as error:
        told.send(str(error))


def waiting(db: Connection) -> int:
    """Connections to this database that wait for another one."""
    return db.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")) or 0


def until(db: Connection, true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        db.execute(text("SELECT pg_sleep(0.01)"))
    raise AssertionError


def write_around(ledger: Ledger, happens: Callable[[], None], *after: str) -> None:
    with ledger.begin() as db:
        meta.put(db, "in the middle", 1)
        happens()
        for name in after:
            meta.put(db, name, 1)


@pytest.mark.scale
class TestLost:
    """The server of these tests is restarted, so they have one of their own."""

    @pytest.fixture
    def server(self) -> Generator[PostgresServer]:
        made = PostgresServer.start()
        yield made
        made.stop()

    @pytest.mark.parametrize("mode", ["fast", "immediate"])
    def test_a_server_that_is_restarted_in_the_middle_is_told_and_the_call_can_be_repeated(
        self, server: PostgresServer, mode: str
    ) -> None:
        ledger = Ledger(server.new_database())
        with ledger.begin() as db:
            meta.put(db, "before", 1)
        with pytest.raises(LedgerUnavailable, match="was lost in the middle") as error:
            write_around(ledger, lambda: server.restart("fast" if mode == "fast" else "immediate"), "after")
        assert PASSWORD not in str(error.value)
        with ledger.begin() as db:
            assert [meta.get(db, name) for name in ("before", "in the middle", "after")] == [1, None, None]
            meta.put(db, "in the middle", 1)
        ledger.close()

    def test_a_server_that_is_lost_before_the_commit_is_told_too(self, server: PostgresServer) -> None:
        ledger = Ledger(server.new_database())
        with pytest.raises(LedgerUnavailable, match="was lost in the middle"):
            write_around(ledger, server.kill)
        with pytest.raises(LedgerUnavailable, match="can't be reached"), ledger.begin():
            pass
        server.start_again()
        with ledger.read() as db:
            assert meta.get(db, "in the middle") is None
        ledger.close()

    def test_a_restart_between_two_calls_is_not_noticed(self, server: PostgresServer) -> None:
        ledger = Ledger(server.new_database())
        for count in (1, 2):
            with ledger.begin() as db:
                assert meta.count_up(db, "counter") == count
            server.restart()
        ledger.close()
