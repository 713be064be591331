"""Files on this host's disk: written to a temporary name, synced, and put in their place.

Files are their owner's alone: they hold what was asked and what was answered.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from batch_pipeline.errors import PipelineError


class Disk:
    """A `FileStore` for the processes of one host: a file is where its path says, and nowhere else."""

    def put(self, temporary: Path, final: Path) -> bool:
        """Syncs the file and links it into its place, which fails if there is one."""
        return put_in_place(temporary, final)

    def create(self, path: Path, content: bytes) -> bool:
        """Writes a small file, in a folder that is made where there is none."""
        make_folder(path.parent)
        return write_once(path, content)

    def fetch(self, path: Path) -> bool:
        """Whether it is there."""
        return path.exists()

    def read(self, path: Path) -> bytes | None:
        """What a file holds."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def resume(self, path: Path) -> None:
        """The file is here."""

    def save(self, path: Path) -> bool:
        """The file is here."""
        return True

    def remove_grown(self, path: Path) -> None:
        """Removes the file."""
        path.unlink(missing_ok=True)

    def names(self, folder: Path) -> list[str]:
        """The names of the files of a folder."""
        try:
            return [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            return []

    def size(self, folder: Path) -> int:
        """The bytes of a folder's files."""
        try:
            return sum(path.stat().st_size for path in folder.iterdir())
        except FileNotFoundError:  # another process prunes too
            return 0

    def folders(self, folder: Path) -> set[str]:
        """The names of the folders in a folder."""
        return {path.name for path in folder.iterdir() if path.is_dir()} if folder.exists() else set()

    def rename(self, path: Path, to: Path) -> None:
        """Gives a file another name."""
        with suppress(FileNotFoundError):
            path.rename(to)

    def remove(self, path: Path) -> None:
        """Removes a file."""
        path.unlink(missing_ok=True)

    def remove_all(self, folder: Path, *, but: Path | None = None) -> None:
        """Removes what is in a folder."""
        if but is None:
            shutil.rmtree(folder, ignore_errors=True)
            return
        for path in folder.iterdir():
            if path != but:
                path.unlink()


def make_folder(folder: Path) -> None:
    """Makes a folder, and those that it lies in, for their owner alone; one that is there stays as it is."""
    if not folder.parent.exists():
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True, mode=0o700)  # `parents=True` would leave the others open


@contextmanager
def half(final: Path) -> Generator[Path]:
    """A temporary name beside `final`; whatever is left there at the end of the block is removed.

    Raises:
        PipelineError: The disk is full.
    """
    temporary = half_name(final)
    try:
        temporary.touch(mode=0o600)
        yield temporary
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PipelineError(
                f"The disk is full: {final.name} could not be written, and nothing of it is used. "
                f"Free some space on the disk of {final.parent} and run this again."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def half_name(final: Path) -> Path:
    """A name beside `final` that nobody else writes to."""
    return final.with_name(f".{final.name}.{secrets.token_hex(4)}.half")


def put_in_place(temporary: Path, final: Path) -> bool:
    """Syncs `temporary` and gives it its final name.

    Returns:
        False where `final` was there already, which then stays as it is.
    """
    sync_file(temporary)
    try:
        os.link(temporary, final)  # fails if it exists; a rename would replace it
    except FileExistsError:
        return False
    sync_folder(final.parent)
    return True


def write_once(final: Path, content: bytes) -> bool:
    """Writes a small file, whole or not at all; False where it was there already."""
    with half(final) as temporary:
        temporary.write_bytes(content)
        return put_in_place(temporary, final)


def sync_file(path: Path) -> None:
    """Makes what a file holds survive a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes a new name in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
