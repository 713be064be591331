"""Settings as Dagster resources: `pipeline` for all that the assets do, `warehouse` for assets of your own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_duckdb import DuckDBResource
from pydantic import Field
from typing_extensions import override

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.settings import Settings, load_settings
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.locations import located

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WAREHOUSE = "warehouse"
"""The keys that the assets and sensors ask for."""


class PipelineResource(dg.ConfigurableResource[Pipeline]):
    """Settings, ledger, warehouse, files and providers; an asset takes it as `pipeline: dg.ResourceParam[Pipeline]`.

    Examples:
        >>> resources = {"pipeline": PipelineResource(settings={"provider": "openai", "data_dir": "/srv/batches"})}
    """

    settings: dict[str, str] = Field(
        default={}, description="Settings by name, in place of those of the environment; keys belong there."
    )

    def read_settings(self) -> Settings:
        """The environment's settings, and in their place those that are given here.

        Raises:
            InvalidSettings: A variable of the environment has a wrong value.
        """
        given: dict[str, Any] = dict(self.settings)  # text, from which pydantic reads what it should be
        return Settings(**given) if given else load_settings()

    @override
    def create_resource(self, context: dg.InitResourceContext) -> Pipeline:
        """What assets and sensors get."""
        return self.open()

    def open(self) -> Pipeline:
        """The pipeline: one for each process and settings, so a sensor's connections last from tick to tick."""
        settings = self.read_settings()
        if settings not in _pipelines:
            _pipelines[settings] = Pipeline(settings)
        return _pipelines[settings]


class WarehouseResource(DuckDBResource):
    """The warehouse, for assets of your own beside ours; whatever takes a `DuckDBResource` takes this.

    A connection opens late, holds the lock of writers, is one transaction, and is closed on an exception too: that of
    `DuckDBResource` stays open then, and shuts out every other process.
    """

    database: str = Field(default="", description="The DuckDB file or URL; that of the settings where it is empty.")

    @override
    @contextmanager
    def get_connection(self) -> Generator[DuckDBPyConnection]:
        """A connection inside one transaction: committed at the end of the block, rolled back on an exception."""
        with self._warehouse.write() as connection:
            yield connection

    @contextmanager
    def get_reader(self) -> Generator[DuckDBPyConnection]:
        """A read-only connection, which shuts nobody out but writers."""
        with self._warehouse.read() as connection:
            yield connection

    @property
    def _warehouse(self) -> Warehouse:
        settings = load_settings()
        url, data = settings.warehouse
        return Warehouse(located(self.database or url, data))


_pipelines: dict[Settings, Pipeline] = {}
