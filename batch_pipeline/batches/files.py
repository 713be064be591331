"""The files of a job: their names, and the one way in which its steps write and read them.

Files are created, never replaced. A step writes one on this host's disk, under a temporary name (`half`), and then puts
it in its place; before it reads one, it fetches it, whatever host it was written on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from batch_pipeline.batches.storage.base import FileStore
from batch_pipeline.batches.storage.disk import Disk, half, make_folder, sync_folder, write_once
from batch_pipeline.errors import DamagedFile

__all__ = ["JobFolder", "half", "make_folder", "sync_folder", "write_once"]


class JobFolder:
    """The folder of one job: `requests-0000.jsonl`, `output-0000.jsonl`, `errors-0000.jsonl`, and the plan.

    Args:
        batches_dir: The folder of all jobs.
        job_id: The job's.
        files: Where they are kept; on this host's disk alone otherwise.
    """

    def __init__(self, batches_dir: Path, job_id: str, files: FileStore | None = None) -> None:
        self.path = batches_dir / job_id
        self._files = files or Disk()

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
        """Of a batch that is answered at once: the lines that came so far, to the host that asks."""
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

    def put(self, temporary: Path, final: Path) -> bool:
        """Syncs a file that was written and gives it its final name, for all hosts.

        Returns:
            False where another was there already, which then stays as it is.
        """
        return self._files.put(temporary, final)

    def write_plan(self, content: bytes) -> bool:
        """Writes `plan`; False where another was there already."""
        return self._files.create(self.plan, content)

    def read_plan(self) -> bytes | None:
        """What `plan` holds; None where the job has none, or is gone."""
        return self._files.read(self.plan)

    def fetch(self, path: Path) -> bool:
        """Sees to it that one of the files lies on this host; False where there is none."""
        return self._files.fetch(path)

    def resume_answers(self, number: int) -> Path:
        """`answers`, with all lines that came, whatever host they came to."""
        self._files.resume(self.answers(number))
        return self.answers(number)

    def save_answers(self, number: int) -> bool:
        """Saves the lines that came since, for other hosts; False where another host goes on with them."""
        return self._files.save(self.answers(number))

    def remove_answers(self, number: int) -> None:
        """Removes `answers`: they have become the output."""
        self._files.remove_grown(self.answers(number))

    def as_planned(self, number: int, sha256: str, size: int) -> Path:
        """The lines of a batch, on this host, compared with what the ledger says of them.

        Raises:
            DamagedFile: They are gone, or others.
        """
        path = self.requests(number)
        if not self.fetch(path):
            raise DamagedFile(f"{path} is gone, so its batch can't be sent. Put it back, or cancel its job.")
        with path.open("rb") as file:
            if path.stat().st_size == size and hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                return path
        raise DamagedFile(f"{path} is not as it was planned, so its batch is not sent. Put it back, or cancel its job.")

    def lines(self) -> Iterator[bytes]:
        """The lines of all batches, and after them those that another job has in flight."""
        requests = sorted(name for name in self._files.names(self.path) if name.startswith("requests-"))
        for path in [*(self.path / name for name in requests), self.waiting]:
            if self.fetch(path):
                with path.open("rb") as file:
                    yield from file

    @property
    def size(self) -> int:
        """The bytes that its files have together."""
        return self._files.size(self.path)

    def clear_unplanned(self) -> None:
        """Removes what a plan left that was never committed."""
        self._files.remove_all(self.path, but=self.lock)

    def remove_plan(self) -> None:
        """Removes `plan`: without it, nobody can rebuild the job."""
        self._files.remove(self.plan)

    def remove(self) -> None:
        """Removes the folder: of a job that was never planned, or is through."""
        self._files.remove_all(self.path)


def _look(look: int) -> str:
    return "" if look == 1 else f"-look{look}"
