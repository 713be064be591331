"""A move from files to other places: whole, or gone on with; the source as it was, and nobody's batch twice."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import ClassVar

import pytest
from filelock import FileLock, Timeout
from sqlalchemy import insert, null, text, update

from batch_pipeline.batches import points
from batch_pipeline.batches.migrate_to import Part, Target, migrate_to
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import PipelineError, UsageError
from batch_pipeline.ledger import copying, events, jobs, tables
from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline_tests.batches.chain import planned, run, write_notes
from batch_pipeline_tests.batches.moved import in_files, ledger_of, moved_to, same, warehouse_of, worked
from batch_pipeline_tests.books import Books


class Killed(BaseException):
    """As if the process died here."""


class At:
    """Kills at the `nth` time that a point is reached."""

    def __init__(self, name: str, nth: int) -> None:
        self._name, self._left = name, nth

    def __call__(self, name: str) -> None:
        self._left -= name == self._name
        if name == self._name and not self._left:
            raise Killed


@pytest.fixture
def kill_at() -> Generator[Callable[[str, int], None]]:
    def at(name: str, nth: int) -> None:
        points.hook = At(name, nth)

    yield at
    points.hook = None


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """A server for all of these tests; one of them asks it for more."""
    with start(LocalServerOptions(port=0, state_dir=tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, provider: RunningServer) -> Path:
    """A data folder to be copied: to make it takes longer than to move it."""
    folder = tmp_path_factory.mktemp("template") / "data"
    worked(folder, provider.url)
    return folder


@pytest.fixture
def source(tmp_path: Path, template: Path, provider: RunningServer) -> Generator[Pipeline]:
    """A pipeline in files: one job is through, another at the provider, a third planned."""
    shutil.copytree(template, tmp_path / "source")
    pipeline = in_files(tmp_path / "source", provider.url)
    yield pipeline
    pipeline.close()


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """Other files, as if they were on a server."""
    folder = tmp_path / "target"
    return Target(f"sqlite:///{folder / 'ledger.db'}", str(folder / "warehouse.duckdb"))


def there(source: Pipeline, target: Target) -> Pipeline:
    return moved_to(
        source, ledger_url=target.ledger_url, warehouse_url=target.warehouse_url, files_url=target.files_url
    )


def states(parts: list[Part]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        found[part.state] = found.get(part.state, 0) + 1
    return found


def test_all_of_it_is_there_and_the_source_is_as_it_was(source: Pipeline, target: Target) -> None:
    before, file = ledger_of(source), source.warehouse.path.read_bytes()
    source.close()
    told: list[Part] = []
    parts = migrate_to(source, target, told.append)
    assert told == parts
    assert states(parts) == {"copied": len(parts)} or set(states(parts)) == {"copied", "there already"}
    moved = there(source, target)
    same(source, moved)
    assert ledger_of(source) == before
    assert source.warehouse.path.read_bytes() == file
    assert {part.name: part.rows for part in parts}["mood"] == 4
    assert "mood_latest" in warehouse_of(moved)
    moved.close()


def test_what_is_in_flight_and_planned_goes_on_there_once(
    source: Pipeline, target: Target, provider: RunningServer
) -> None:
    books = Books(provider)
    identity, created = source.pipeline_id, len(books.batches)
    migrate_to(source, target)
    moved = there(source, target)
    assert moved.pipeline_id == identity
    with moved.ledger.read() as db:
        open_jobs = [row.job_id for row in db.execute(tables.jobs.select().where(tables.jobs.c.closed_at.is_(None)))]
    assert len(open_jobs) == 2
    for job_id in open_jobs:
        with moved.ledger.read() as db:
            job = jobs.get(db, job_id)
        run(moved, job)
    assert len(books.batches) == created + 1  # of the job that was planned; the other was at the provider
    with moved.warehouse.read() as db:
        assert db.execute("SELECT count(*) FROM mood_latest").fetchone() == (9,)
    with moved.ledger.begin() as db:
        events.record(db, "noted", open_jobs[0])
    moved.close()


POINTS = [
    ("move.warehouse_half", 2),
    ("move.warehouse_table", 3),
    ("move.ledger_half", 2),
    ("move.ledger_table", 4),
]


@pytest.mark.parametrize(("name", "nth"), POINTS)
def test_killed_anywhere_it_goes_on(
    source: Pipeline, target: Target, kill_at: Callable[[str, int], None], name: str, nth: int
) -> None:
    wanted = Target(None, target.warehouse_url) if "warehouse" in name else Target(target.ledger_url)
    kill_at(name, nth)
    with pytest.raises(Killed):
        migrate_to(source, wanted)
    points.hook = None
    parts = migrate_to(source, wanted)
    assert states(parts)["there already"] > 0
    moved = there(source, target)
    if "warehouse" in name:
        assert warehouse_of(moved) == warehouse_of(source)
    else:
        assert ledger_of(moved) == ledger_of(source)
    moved.close()
    assert states(migrate_to(source, wanted)) == {"there already": len(parts)}


_DIES: str = """
import os, signal, sys
from batch_pipeline.batches import points
from batch_pipeline.batches.migrate_to import Target, migrate_to
from batch_pipeline.batches.pipeline import Pipeline

def die(name):
    if name == "move.ledger_half":
        os.kill(os.getpid(), signal.SIGKILL)

points.hook = die
migrate_to(Pipeline(), Target(sys.argv[1], sys.argv[2]))
"""


def test_a_process_that_is_killed_holds_nobody_up(source: Pipeline, target: Target) -> None:
    environment = {**os.environ, "BATCH_PIPELINE_DATA_DIR": str(source.data_dir)}
    arguments = [sys.executable, "-c", _DIES, str(target.ledger_url), str(target.warehouse_url)]
    assert subprocess.run(arguments, env=environment, check=False, capture_output=True).returncode == -9
    migrate_to(source, target)
    moved = there(source, target)
    same(source, moved)
    moved.close()


def test_where_the_source_went_on_after_a_kill_it_is_copied_as_it_is_now(
    source: Pipeline, target: Target, kill_at: Callable[[str, int], None]
) -> None:
    kill_at("move.ledger_table", 5)
    with pytest.raises(Killed):
        migrate_to(source, target)
    points.hook = None
    write_notes(source, 12)
    planned(source)
    migrate_to(source, target)
    moved = there(source, target)
    same(source, moved)
    moved.close()


def test_nobody_writes_the_source_meanwhile(source: Pipeline, target: Target) -> None:
    tried: list[str] = []

    def write(name: str) -> None:
        if not name.startswith("move."):
            return
        other = sqlite3.connect(source.data_dir / "ledger.db", timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
        with pytest.raises(Timeout):
            FileLock(f"{source.warehouse.path}.lock", timeout=0, is_singleton=False).acquire()
        tried.append(name)

    points.hook = write
    try:
        migrate_to(source, target)
    finally:
        points.hook = None
    assert {"move.ledger_half", "move.warehouse_half"} <= set(tried)
    write_notes(source, 1)  # and afterwards it can be written


def test_a_target_with_other_data_is_refused(source: Pipeline, target: Target, tmp_path: Path) -> None:
    other = there(source, target)
    write_notes(other, 2)
    with pytest.raises(UsageError, match="warehouse that --warehouse-url names has other data"):
        migrate_to(source, target)
    with other.ledger.begin() as db:
        db.execute(insert(tables.given_up).values(fingerprint="f", task="t", job_id="j", outcome="refused", at=0))
    with pytest.raises(UsageError, match="ledger that --ledger-url names has other data"):
        migrate_to(source, Target(target.ledger_url))
    assert warehouse_of(other)["notes"] == ["('note-0', 'the note of number 0')", "('note-1', 'the note of number 1')"]
    other.close()


def test_a_target_of_another_pipeline_is_refused(
    source: Pipeline, target: Target, kill_at: Callable[[str, int], None]
) -> None:
    kill_at("move.warehouse_table", 1)
    with pytest.raises(Killed):
        migrate_to(source, target)
    points.hook = None
    (source.data_dir / "pipeline-id").write_text("another\n")
    with pytest.raises(UsageError, match="other data"):
        migrate_to(source, target)


def test_what_is_in_use_there_is_not_copied_over(source: Pipeline, target: Target) -> None:
    migrate_to(source, target)
    moved = there(source, target)
    with moved.ledger.begin() as db:
        events.record(db, "noted", "job")
    with pytest.raises(UsageError, match="table events has changed since"):
        migrate_to(source, target)
    write_notes(moved, 3)
    with pytest.raises(UsageError, match="table notes has changed since"):
        migrate_to(source, Target(None, target.warehouse_url))
    moved.close()


@pytest.mark.parametrize("posted_at", [None, 5.0])
def test_nothing_is_moved_while_something_is_being_sent(
    source: Pipeline, target: Target, posted_at: float | None
) -> None:
    """Whoever sends goes on with the ledger that it knows."""
    with source.ledger.begin() as db:
        db.execute(update(tables.sends).values(remote_id=None, end=None, posted_at=posted_at))
    with pytest.raises(UsageError, match=r"Being sent or planned right now: mood-.*collect JOB"):
        migrate_to(source, target)
    with source.ledger.begin() as db:
        db.execute(update(tables.sends).values(held="a person decides"))
    migrate_to(source, Target(target.ledger_url))


def test_nothing_is_moved_while_something_is_being_planned(source: Pipeline, target: Target) -> None:
    with source.ledger.begin() as db:
        db.execute(update(tables.jobs).values(planned_at=None, closed_at=None))
    with pytest.raises(UsageError, match="Being sent or planned right now"):
        migrate_to(source, target)


class TestWhatIsAskedMustBePossible:
    WRONG: ClassVar = [
        (Target(), "Nothing is to be moved"),
        (Target("mysql://host/name"), "SQLite"),
        (Target(None, "nonsense:what"), "must be a path"),
    ]

    @pytest.mark.parametrize(("wrong", "told"), WRONG)
    def test_a_target_is_one_that_is_there(self, source: Pipeline, wrong: Target, told: str) -> None:
        with pytest.raises(PipelineError, match=told):
            migrate_to(source, wrong)

    def test_a_place_is_not_its_own_target(self, source: Pipeline) -> None:
        with pytest.raises(UsageError, match="is the warehouse itself"):
            migrate_to(source, Target(None, str(source.warehouse.path)))
        with pytest.raises(UsageError, match="is the ledger itself"):
            migrate_to(source, Target(source.settings.ledger))

    def test_a_source_is_there(self, source: Pipeline, target: Target, tmp_path: Path) -> None:
        empty = moved_to(source, data_dir=tmp_path / "empty")
        with pytest.raises(UsageError, match="no ledger at"):
            migrate_to(empty, Target(target.ledger_url))
        with pytest.raises(UsageError, match="no warehouse at"):
            migrate_to(empty, target)
        assert not (tmp_path / "empty" / "ledger.db").exists()

    def test_a_password_is_not_shown(self) -> None:
        assert "secret" not in repr(Target("postgresql://me:secret@host/db", "ducklake:postgresql://me:secret@host/db"))


def test_a_json_null_and_no_value_stay_two_things_and_numbers_go_on(source: Pipeline, target: Target) -> None:
    with source.ledger.begin() as db:
        db.execute(insert(tables.meta).values(name="a json null", value=None))
        assert any(row[1] == "null" for row in copying.rows_of(db, tables.meta))
        db.execute(update(tables.batches).where(tables.batches.c.collected_at.is_(None)).values(usage=null()))
        usage = list(tables.batches.c).index(tables.batches.c.usage)
        assert {type(row[usage]) for row in copying.rows_of(db, tables.batches)} == {str, type(None)}
    migrate_to(source, Target(target.ledger_url))
    moved = there(source, target)
    assert ledger_of(moved) == ledger_of(source)
    with moved.ledger.begin() as db:
        events.record(db, "noted", "job")
    moved.close()


def test_a_table_that_comes_to_be_another_is_not_kept(source: Pipeline, target: Target) -> None:
    """The same number of rows, and one value that is another."""
    moved = there(source, target)
    change = "AFTER INSERT ON jobs BEGIN UPDATE jobs SET selected = 99 WHERE job_id = NEW.job_id; END"
    with moved.ledger.begin() as db:
        db.execute(text(f"CREATE TRIGGER another {change}"))
    with pytest.raises(PipelineError, match=r"table jobs would not be the same there \(3 rows here, 3 there\)"):
        migrate_to(source, Target(target.ledger_url))
    assert ledger_of(moved)["jobs"] == []
    with moved.ledger.begin() as db:
        db.execute(text("DROP TRIGGER another"))
    migrate_to(source, Target(target.ledger_url))
    assert ledger_of(moved) == ledger_of(source)
    moved.close()


def test_a_dry_run_says_what_would_be_copied_and_makes_nothing(source: Pipeline, target: Target) -> None:
    parts = migrate_to(source, target, dry=True)
    assert {part.state for part in parts} == {"to copy"}
    assert {part.name: part.rows for part in parts if part.what == "ledger"}["jobs"] == 3
    assert {part.name: part.rows for part in parts if part.what == "warehouse"}["notes"] == 9
    assert target.warehouse_url is not None
    assert not Path(target.warehouse_url).parent.exists()
