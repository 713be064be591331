"""What every step of a job's life needs, put together once."""

from __future__ import annotations

import secrets
from functools import cached_property
from pathlib import Path

from batch_pipeline.batches.files import JobFolder
from batch_pipeline.batches.markers import Markers
from batch_pipeline.batches.money.prices import PriceBook
from batch_pipeline.batches.storage import file_store
from batch_pipeline.errors import Disabled
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.providers import Provider, provider_for
from batch_pipeline.settings import ProviderName, Settings, load_settings
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.locations import located


class Pipeline:
    """Settings, ledger, warehouse, files and providers; each is opened when it is first used.

    Args:
        settings: Read from the environment where there are none.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()
        self.ledger = Ledger(self.settings.ledger)
        self.warehouse = Warehouse(located(*self.settings.warehouse))
        self.files = file_store(self.settings)
        self.markers = Markers(self.settings.batches_dir, self.files)
        self._providers: dict[ProviderName, Provider] = {}

    @cached_property
    def prices(self) -> PriceBook:
        """What a token costs."""
        return PriceBook(self.settings.prices_file, self.settings.price_as)

    @cached_property
    def pipeline_id(self) -> str:
        """This pipeline's own id; it lies outside the ledger, so that a new ledger still knows its batches."""
        path = self.settings.data_dir / "pipeline-id"
        if (known := self.files.read(path)) is None:
            self.files.create(path, secrets.token_hex(4).encode())
            known = self.files.read(path)
        return (known or b"").decode().strip()

    def provider(self, name: str) -> Provider:
        """The provider of that name.

        Raises:
            MissingKey: It needs a key, and there is none.
        """
        known: ProviderName = name  # pyright: ignore[reportAssignmentType] - a job's column holds what was checked
        if known not in self._providers:
            self._providers[known] = provider_for(known, self.settings)
        return self._providers[known]

    def folder(self, job_id: str) -> JobFolder:
        """The files of a job."""
        return JobFolder(self.settings.batches_dir, job_id, self.files)

    def must_be_enabled(self) -> None:
        """Before anything is planned or sent.

        Raises:
            Disabled: `BATCH_PIPELINE_ENABLED` is false.
        """
        if not self.settings.enabled:
            raise Disabled(
                "BATCH_PIPELINE_ENABLED is false: nothing is planned or sent. What is in flight is collected."
            )

    def close(self) -> None:
        """Gives all connections back."""
        self.ledger.close()
        self.warehouse.close()
        while self._providers:
            self._providers.popitem()[1].close()

    @property
    def data_dir(self) -> Path:
        """Where all of it lies."""
        return self.settings.data_dir
