"""Settings as resources."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from batch_pipeline.resources import PipelineResource, WarehouseResource


def test_what_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_POLL_SECONDS", "7")
    monkeypatch.setenv("BATCH_PIPELINE_MAX_ATTEMPTS", "2")
    settings = PipelineResource(settings={"poll_seconds": "9", "data_dir": str(tmp_path)}).read_settings()
    assert (settings.poll_seconds, settings.max_attempts, settings.data_dir) == (9, 2, tmp_path)


def test_one_process_has_one_pipeline_for_the_same_settings(tmp_path: Path) -> None:
    resource = PipelineResource(settings={"data_dir": str(tmp_path)})
    assert resource.open() is PipelineResource(settings={"data_dir": str(tmp_path)}).open()


def test_a_connection_is_one_transaction_and_is_closed_on_an_exception(tmp_path: Path) -> None:
    warehouse = WarehouseResource(database=str(tmp_path / "warehouse.duckdb"))
    with warehouse.get_connection() as connection:
        connection.execute("CREATE TABLE kept (n INTEGER)")
    with pytest.raises(duckdb.Error), warehouse.get_connection() as connection:
        connection.execute("INSERT INTO kept VALUES (1); SELECT * FROM nowhere")
    with warehouse.get_reader() as reader:
        assert reader.execute("SELECT count(*) FROM kept").fetchall() == [(0,)]


def test_without_a_file_it_is_the_warehouse_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_DATA_DIR", str(tmp_path))
    with WarehouseResource().get_connection() as connection:
        connection.execute("SELECT * FROM issue_versions")
    assert (tmp_path / "warehouse.duckdb").exists()
