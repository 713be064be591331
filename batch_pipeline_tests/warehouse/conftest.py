"""A warehouse in each of its places: a file, a lake with its data on disk, and one with its data on object storage."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import duckdb
import pytest

from batch_pipeline.settings import Settings
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.ducklake import LakeStore
from batch_pipeline.warehouse.locations import DuckLake, located
from batch_pipeline.warehouse.schema import migrate
from batch_pipeline_tests.scale.fixtures import Place


@pytest.fixture
def warehouse(place: Place, tmp_path: Path) -> Warehouse:
    """A warehouse of the test's place."""
    data_dir = tmp_path / "var"
    settings = Settings.model_validate({"data_dir": data_dir, **place.settings(data_dir)})
    return Warehouse(located(*settings.warehouse), wait_seconds=30)


@pytest.fixture
def connection(place: Place, tmp_path: Path) -> Generator[duckdb.DuckDBPyConnection]:
    """A connection to the tables, outside of a transaction; to a database in memory in place of a file."""
    if place.name == "file":
        with duckdb.connect() as made:
            made.execute("SET TimeZone = 'UTC'")
            migrate(made)
            yield made
        return
    settings = Settings.model_validate(place.settings(tmp_path))
    location = located(*settings.warehouse)
    assert isinstance(location, DuckLake)
    store = LakeStore(location)
    with store.use("write", 0) as made:
        yield made
    store.close()
