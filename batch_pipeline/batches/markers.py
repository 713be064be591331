"""The second memory: one small file for each send that may have been posted. It outlives the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from batch_pipeline.batches.storage import FileStore
from batch_pipeline.ledger.sends import Send


class Markers:
    """The markers, in `sends/` beside the folders of the jobs.

    Args:
        batches_dir: The folder of all jobs.
        files: Where they are kept.
    """

    def __init__(self, batches_dir: Path, files: FileStore) -> None:
        self._folder = batches_dir / "sends"
        self._files = files

    def create(self, send: Send) -> bool:
        """Writes the marker of a send, whole or not at all, and for good; False where another process has made one."""
        return self._files.create(self._path(send.claim), json.dumps(asdict(send)).encode())

    def claims(self) -> set[str]:
        """The claims that have a marker."""
        return {name.removesuffix(".json") for name in self._files.names(self._folder) if name.endswith(".json")}

    def read(self, claim: str) -> Send | None:
        """The send as it was when its marker was written; None where it has been removed meanwhile."""
        content = self._files.read(self._path(claim))
        return None if content is None else Send(**json.loads(content))

    def set_aside(self, claim: str) -> None:
        """Keeps a marker that nothing can be restored from, where it holds nobody up."""
        self._files.rename(self._path(claim), self._path(claim).with_suffix(".orphan"))

    def remove(self, claims: Iterable[str]) -> None:
        """Forgets the markers of sends that are collected."""
        for claim in claims:
            self._files.remove(self._path(claim))

    def _path(self, claim: str) -> Path:
        return self._folder / f"{claim}.json"
