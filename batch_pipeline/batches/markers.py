"""The second memory: one small file for each send that may have been posted. It outlives the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from batch_pipeline.batches.files import make_folder, write_once
from batch_pipeline.ledger.sends import Send


class Markers:
    """The markers, in `sends/` beside the folders of the jobs."""

    def __init__(self, batches_dir: Path) -> None:
        self._folder = batches_dir / "sends"

    def create(self, send: Send) -> bool:
        """Writes the marker of a send, whole or not at all, and on the disk; True for the one process that made it."""
        make_folder(self._folder)
        return write_once(self._folder / f"{send.claim}.json", json.dumps(asdict(send)).encode())

    def claims(self) -> set[str]:
        """The claims that have a marker."""
        return {path.stem for path in self._folder.glob("[0-9a-f]*.json")}

    def read(self, claim: str) -> Send:
        """The send as it was when its marker was written."""
        return Send(**json.loads((self._folder / f"{claim}.json").read_bytes()))

    def set_aside(self, claim: str) -> None:
        """Keeps a marker that nothing can be restored from, where it holds nobody up."""
        with suppress(FileNotFoundError):
            (self._folder / f"{claim}.json").rename(self._folder / f"{claim}.orphan")

    def remove(self, claims: Iterable[str]) -> None:
        """Forgets the markers of sends that are collected."""
        for claim in claims:
            (self._folder / f"{claim}.json").unlink(missing_ok=True)
