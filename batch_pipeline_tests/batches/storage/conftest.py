"""The places that files of batches can be kept in: each test here runs in all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.storage.base import FileStore
from batch_pipeline.batches.storage.disk import Disk
from batch_pipeline.batches.storage.objects import ObjectStorage
from batch_pipeline.local_server import RunningServer
from batch_pipeline.settings import Settings
from batch_pipeline_tests.scale.object_storage import ObjectStorage as ObjectServer
from batch_pipeline_tests.scale.object_storage import object_storage

__all__ = ["object_storage"]


@dataclass(frozen=True)
class Shared:
    """An object storage: its URL, and what a process has in its environment to find it."""

    url: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    def of_host(self, root: Path) -> FileStore:
        """As a host sees it whose files lie in `root`."""
        return ObjectStorage(self.url, root)

    def into_environment(self) -> None:
        """For a process that was not started by the one that has them."""
        os.environ.update(self.variables)


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.scale)])
def shared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shared:
    """An object storage with nothing in it: obstore's in a folder, and a server that speaks S3."""
    if request.param == "folder":
        return Shared(f"file://{tmp_path / 'storage'}")
    server: ObjectServer = request.getfixturevalue("object_storage")
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    return Shared(f"s3://{server.new_bucket()}/a/prefix", server.variables)


@pytest.fixture(params=["disk", "folder", pytest.param("s3", marks=pytest.mark.scale)])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Kept]:
    """What hosts have of the same files, by number: one disk for all processes of a host, or an object storage."""
    if request.param == "disk":
        return lambda _: Kept(Disk(), tmp_path / "host")
    if request.param == "folder":
        storage = Shared(f"file://{tmp_path / 'storage'}")
    else:
        server: ObjectServer = request.getfixturevalue("object_storage")
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        storage = Shared(f"s3://{server.new_bucket()}/prefix", server.variables)
    return lambda number: Kept(storage.of_host(tmp_path / f"host-{number}"), tmp_path / f"host-{number}")


@dataclass(frozen=True)
class Kept:
    """What one host has: its `FileStore`, and the folder that it stands for."""

    files: FileStore
    root: Path


@pytest.fixture
def make_host(tmp_path: Path, server: RunningServer, shared: Shared) -> Generator[Callable[..., Pipeline]]:
    """Makes a pipeline on a host of that name: one ledger, one warehouse and one storage for all of them."""
    made: list[Pipeline] = []

    def make(name: str, **settings: object) -> Pipeline:
        values = {
            "local_url": server.url,
            "data_dir": tmp_path / name,
            "ledger_url": f"sqlite:///{tmp_path / 'ledger.db'}",
            "warehouse_url": str(tmp_path / "warehouse.duckdb"),
            "files_url": shared.url,
            "create_wait_seconds": 0.0,
            "missing_recheck_seconds": 0.0,
            **settings,
        }
        made.append(Pipeline(Settings.model_validate(values)))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.close()
