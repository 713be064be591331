"""What a move must keep: everything, as it can be compared on either side."""

from __future__ import annotations

from pathlib import Path

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.ledger import copying
from batch_pipeline.settings import Settings
from batch_pipeline.warehouse.names import quoted
from batch_pipeline_tests.batches.chain import planned, run, write_notes


def in_files(data_dir: Path, server_url: str) -> Pipeline:
    """A pipeline in files."""
    values = {"data_dir": data_dir, "local_url": server_url, "create_wait_seconds": 0.0}
    return Pipeline(Settings.model_validate(values))


def worked(data_dir: Path, server_url: str) -> None:
    """Makes one in which a job is through, another at the provider, and a third planned."""
    pipeline = in_files(data_dir, server_url)
    write_notes(pipeline, 4)
    run(pipeline, planned(pipeline))
    write_notes(pipeline, 7)
    submit_job(pipeline, planned(pipeline).job_id)
    write_notes(pipeline, 9)
    planned(pipeline)
    pipeline.close()


def same(source: Pipeline, target: Pipeline) -> None:
    """Fails where ledger or warehouse hold other rows; views count too."""
    assert ledger_of(source) == ledger_of(target)
    assert warehouse_of(source) == warehouse_of(target)


def ledger_of(pipeline: Pipeline) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the ledger, by table."""
    with pipeline.ledger.read() as db:
        return {table.name: sorted(copying.rows_of(db, table), key=repr) for table in copying.all_tables()}


def warehouse_of(pipeline: Pipeline) -> dict[str, list[str]]:
    """All rows of the warehouse's tables and views, by name."""
    names = """
        SELECT table_name FROM information_schema.tables
        WHERE table_catalog = current_database() AND table_schema = 'main'
            AND table_name NOT IN ('schema_steps', 'moved_here')
    """
    with pipeline.warehouse.read() as db:
        found = [name for (name,) in db.execute(names).fetchall()]
        return {name: sorted(map(repr, db.execute(f"FROM {quoted(name)}").fetchall())) for name in found}


def moved_to(source: Pipeline, **settings: object) -> Pipeline:
    """The same pipeline with other settings, as whoever goes on with it has them."""
    return Pipeline(Settings.model_validate({**source.settings.model_dump(by_alias=True), **settings}))
