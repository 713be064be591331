"""The one small place that reads and writes the files of batches.

A file is written to a temporary name, synced, and put in its place; it is created, never replaced. Files are their
owner's alone: they hold what was asked and what was answered.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from batch_pipeline.errors import DamagedFile, PipelineError


class JobFolder:
    """The folder of one job: `requests-0000.jsonl`, `output-0000.jsonl`, `errors-0000.jsonl`, and the plan."""

    def __init__(self, batches_dir: Path, job_id: str) -> None:
        self.path = batches_dir / job_id

    def requests(self, number: int) -> Path:
        """The lines of a batch, as they are sent."""
        return self.path / f"requests-{number:04d}.jsonl"

    def output(self, number: int, look: int = 1) -> Path:
        """The provider's output file, as it was given at a first or later look."""
        return self.path / f"output-{number:04d}{_look(look)}.jsonl"

    def errors(self, number: int, look: int = 1) -> Path:
        """The provider's error file, as it was given at a first or later look."""
        return self.path / f"errors-{number:04d}{_look(look)}.jsonl"

    def answers(self, number: int) -> Path:
        """Of a batch that is answered at once: the lines that came so far."""
        return self.path / f"answers-{number:04d}.jsonl"

    def answering(self, number: int) -> Path:
        """Held by the process that does so."""
        return self.path / f".answers-{number:04d}.lock"

    @property
    def request_index(self) -> Path:
        """Parquet: one row a request: custom_id, batch, fingerprint, input_tokens."""
        return self.path / "requests.parquet"

    @property
    def record_index(self) -> Path:
        """Parquet: one row a record: record_id, how it is answered, its request, its partition."""
        return self.path / "records.parquet"

    @property
    def waiting(self) -> Path:
        """The lines of requests that another job has in flight: sent by an attempt, if no answer comes."""
        return self.path / "waiting.jsonl"

    @property
    def plan(self) -> Path:
        """JSON: the job and its batches, as the ledger has them; they can be rebuilt from it."""
        return self.path / "plan.json"

    @property
    def lock(self) -> Path:
        """Held while the job is planned."""
        return self.path / ".plan.lock"

    def make(self) -> None:
        """Makes the folder, for its owner alone."""
        make_folder(self.path)

    def clear_unplanned(self) -> None:
        """Removes what a plan left that was never committed."""
        for path in self.path.iterdir():
            if path != self.lock:
                path.unlink()

    def remove(self) -> None:
        """Removes the folder of a job that was never planned."""
        shutil.rmtree(self.path, ignore_errors=True)


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
    temporary = final.with_name(f".{final.name}.{secrets.token_hex(4)}.half")
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


def put_in_place(temporary: Path, final: Path) -> bool:
    """Syncs `temporary` and gives it its final name.

    Returns:
        False where `final` was there already, which then stays as it is.
    """
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
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


def sync_folder(folder: Path) -> None:
    """Makes a new name in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def must_be_as_planned(path: Path, sha256: str, size: int) -> None:
    """Compares a file with what the ledger says of it.

    Raises:
        DamagedFile: It is gone, or another one.
    """
    if not path.exists():
        raise DamagedFile(f"{path} is gone, so its batch can't be sent. Put it back, or cancel its job.")
    with path.open("rb") as file:
        if path.stat().st_size == size and hashlib.file_digest(file, "sha256").hexdigest() == sha256:
            return
    raise DamagedFile(f"{path} is not as it was planned, so its batch is not sent. Put it back, or cancel its job.")


def _look(look: int) -> str:
    return "" if look == 1 else f"-look{look}"
