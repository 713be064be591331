"""A move from files to servers: a ledger on Postgres, a lake, and an object storage; killed, and gone on with."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from batch_pipeline.batches import points
from batch_pipeline.batches.migrate_to import Part, Target, migrate_to
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import UsageError
from batch_pipeline.ledger import events, jobs
from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.batches.chain import run, write_notes
from batch_pipeline_tests.batches.moved import in_files, moved_to, same, worked
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.scale.object_storage import ObjectStorage
from batch_pipeline_tests.scale.postgres import PostgresServer

pytestmark = pytest.mark.scale


class Killed(BaseException):
    """As if the process died here."""


@pytest.fixture
def source(tmp_path: Path, server: RunningServer) -> Generator[Pipeline]:
    """A pipeline in files: one job is through, another at the provider, a third planned."""
    worked(tmp_path / "source", server.url)
    pipeline = in_files(tmp_path / "source", server.url)
    yield pipeline
    pipeline.close()


@pytest.fixture
def target(
    postgres: PostgresServer, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> Generator[Target]:
    """Two databases and two buckets, all of them empty."""
    for name, value in object_storage.variables.items():
        monkeypatch.setenv(name, value)
    ledger, lake = postgres.new_database(), postgres.new_database()
    data, files = object_storage.new_bucket(), object_storage.new_bucket()
    yield Target(ledger, f"ducklake:{lake}?data_path=s3://{data}/lake", f"s3://{files}/pipeline")
    postgres.drop(ledger)
    postgres.drop(lake)


def states(parts: list[Part]) -> set[str]:
    return {part.state for part in parts}


@pytest.mark.timeout(300)
def test_it_is_killed_at_each_step_and_then_all_goes_on_at_the_servers(
    source: Pipeline, target: Target, server: RunningServer, tmp_path: Path
) -> None:
    """Of three jobs, one is through, one at the provider, one planned: each batch is paid once."""
    books = Books(server)
    created = len(books.batches)
    steps = ["move.file", "move.warehouse_half", "move.ledger_half"]

    def kill(name: str) -> None:
        if name == steps[0]:
            raise Killed

    points.hook = kill
    try:
        while steps:
            with pytest.raises(Killed):
                migrate_to(source, target)
            del steps[0]
    finally:
        points.hook = None
    migrate_to(source, target)
    assert states(migrate_to(source, target)) == {"there already"}

    shutil.rmtree(tmp_path / "other", ignore_errors=True)
    moved = moved_to(
        source,
        data_dir=tmp_path / "other",  # another host, which has nothing of it
        ledger_url=target.ledger_url,
        warehouse_url=target.warehouse_url,
        files_url=target.files_url,
    )
    same(source, moved)
    assert moved.pipeline_id == source.pipeline_id
    with moved.ledger.read() as db:
        open_jobs = jobs.not_closed(db)
    assert len(open_jobs) == 2
    for job in open_jobs:
        run(moved, job)
    assert len(books.batches) == created + 1
    with moved.warehouse.read() as db:
        assert db.execute("SELECT count(*) FROM mood_latest").fetchone() == (9,)
    with moved.ledger.begin() as db:
        events.record(db, "noted", "job")  # its numbers go on behind those that were copied
    moved.close()
    with pytest.raises(UsageError, match="has changed since"):
        migrate_to(source, target)


def test_a_server_that_has_other_data_is_refused(source: Pipeline, target: Target, tmp_path: Path) -> None:
    other = moved_to(
        source, data_dir=tmp_path / "other", warehouse_url=target.warehouse_url, files_url=target.files_url
    )
    write_notes(other, 2)
    with pytest.raises(UsageError, match="--warehouse-url names has other data"):
        migrate_to(source, Target(None, target.warehouse_url))
    assert other.pipeline_id != source.pipeline_id
    with pytest.raises(UsageError, match="storage has files of another pipeline"):
        migrate_to(source, Target(None, None, target.files_url))
    other.close()
