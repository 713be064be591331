"""What a place for the files of batches has to do."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class FileStore(Protocol):
    """A place where files are created, and never replaced.

    A file is named by the path that it has on this host, or gets there once it is fetched.

    Each method may raise `FilesUnreachable`: nobody can say what there is, and what was asked may have been done.
    """

    def put(self, temporary: Path, final: Path) -> bool:
        """Gives what lies in `temporary` its final name, for good, once it outlives a power cut.

        Returns:
            False where another file was there already: it stays as it is, and is what lies at `final` then.
        """
        ...

    def create(self, path: Path, content: bytes) -> bool:
        """Writes a small file, whole or not at all; False where another was there already."""
        ...

    def fetch(self, path: Path) -> bool:
        """Sees to it that the file lies on this host, as it was put; False where there is none."""
        ...

    def read(self, path: Path) -> bytes | None:
        """What a small file holds; None where there is none."""
        ...

    def resume(self, path: Path) -> None:
        """Brings to this host what was saved of a file that grows, whatever host it grew on."""
        ...

    def save(self, path: Path) -> bool:
        """Saves the lines that a file has grown by since it was resumed; False where another host goes on with it."""
        ...

    def remove_grown(self, path: Path) -> None:
        """Removes a file that grew, and what was saved of it."""
        ...

    def names(self, folder: Path) -> list[str]:
        """The names of the files of a folder, in no order, without those that are being written."""
        ...

    def size(self, folder: Path) -> int:
        """The bytes that these files have together."""
        ...

    def folders(self, folder: Path) -> set[str]:
        """The names of the folders in a folder, on this host or elsewhere."""
        ...

    def rename(self, path: Path, to: Path) -> None:
        """Gives a small file another name; one that is not there has it already."""
        ...

    def remove(self, path: Path) -> None:
        """Removes a file, here and for all; one that is not there is removed already."""
        ...

    def remove_all(self, folder: Path, *, but: Path | None = None) -> None:
        """Removes what is in a folder, here and for all, what was half-written too; with the folder, if without `but`.

        Args:
            folder: It need not be there.
            but: A file that stays.
        """
        ...
