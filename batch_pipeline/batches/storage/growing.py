"""A file that grows on one host, and lies in the storage in pieces, so that another host can go on with it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from batch_pipeline.batches.storage.base import FileStore
from batch_pipeline.batches.storage.disk import half, make_folder


class GrowingFile:
    """The lines of a file: those that are here, and those that any host has saved.

    A piece has a number, and is created once: of two hosts that go on with the same file, one is told to stop.

    Args:
        files: Where the pieces are kept.
        path: Of the file.
    """

    def __init__(self, files: FileStore, path: Path) -> None:
        self._files = files
        self._path = path
        self._pieces = 0
        self._saved = 0

    def resume(self) -> None:
        """Brings all lines here: those that were saved first, then those of this host that were not."""
        pieces = [self._files.read(piece) or b"" for piece in self._saved_pieces()]
        known = {line for piece in pieces for line in BytesIO(piece)}
        here = BytesIO(self._path.read_bytes() if self._path.exists() else b"")
        make_folder(self._path.parent)
        with half(self._path) as temporary:
            temporary.write_bytes(
                b"".join([*pieces, *(line for line in here if line[-1:] == b"\n" and line not in known)])
            )
            temporary.replace(self._path)
        self._pieces, self._saved = len(pieces), sum(map(len, pieces))

    def save(self) -> bool:
        """Saves the lines that came since; False where another host has saved others: it goes on."""
        with self._path.open("rb") as file:
            file.seek(self._saved)
            came = file.read()
        came = came[: came.rfind(b"\n") + 1]
        if came:
            if not self._files.create(self._piece(self._pieces), came):
                return False
            self._pieces, self._saved = self._pieces + 1, self._saved + len(came)
        return True

    def remove(self) -> None:
        """Removes the pieces, and the file."""
        for piece in self._saved_pieces():
            self._files.remove(piece)
        self._path.unlink(missing_ok=True)

    def _saved_pieces(self) -> list[Path]:
        names = self._files.names(self._path.parent)
        return [self._path.with_name(name) for name in sorted(names) if name.startswith(f"{self._path.name}.")]

    def _piece(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number:06d}")
