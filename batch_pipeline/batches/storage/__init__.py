"""Where the files of batches are kept: on this host's disk, or in an object storage that several hosts share."""

from __future__ import annotations

from batch_pipeline.batches.storage.base import FileStore
from batch_pipeline.batches.storage.disk import Disk
from batch_pipeline.settings import Settings

__all__ = ["FileStore", "file_store"]


def file_store(settings: Settings) -> FileStore:
    """The one that the settings name. An object storage is not asked before it is needed."""
    if settings.files_url is None:
        return Disk()
    from batch_pipeline.batches.storage.objects import ObjectStorage

    return ObjectStorage(settings.files_url, settings.data_dir)
