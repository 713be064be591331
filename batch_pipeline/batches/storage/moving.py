"""The files of batches, from this host's disk into an object storage: each is created there once, and read back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from filecmp import cmp
from pathlib import Path

from batch_pipeline.batches.storage.disk import half_name, make_folder
from batch_pipeline.batches.storage.objects import ObjectStorage
from batch_pipeline.errors import PipelineError, UsageError


def files_of(data_dir: Path) -> list[Path]:
    """What an object storage stands for: the files of jobs, markers of sends, and the pipeline's id; relative paths."""
    batches, identity = data_dir / "batches", data_dir / "pipeline-id"
    found = [path for path in batches.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return sorted(path.relative_to(data_dir) for path in [*found, *([identity] if identity.exists() else [])])


class Storage:
    """The storage, seen from an empty folder of its own: what lies in the data folder is never touched."""

    def __init__(self, url: str, folder: Path) -> None:
        self._root = folder
        self._store = ObjectStorage(url, folder)

    def must_be_for(self, pipeline_id: str, jobs: Sequence[str]) -> None:
        """Before anything is put there.

        Raises:
            UsageError: It has files of another pipeline, or of jobs that are not among these.
        """
        there = self._store.read(self._root / "pipeline-id")
        foreign = self._store.folders(self._root / "batches") - set(jobs)
        if foreign or (there is not None and there.decode().strip() != pipeline_id):
            raise UsageError(
                "The storage has files of another pipeline, or of jobs that are not here: nothing was put there. "
                "Name an empty prefix with --files-url."
            )

    def put(self, data_dir: Path, path: Path) -> bool:
        """Puts a file there, and compares what is there with it; False where the same one was there already.

        Raises:
            UsageError: Another one of that name was there.
            PipelineError: What came back is not what was put.
        """
        final = self._root / path
        make_folder(final.parent)
        was_there = self._store.fetch(final)
        if not was_there:
            temporary = half_name(final)
            shutil.copyfile(data_dir / path, temporary)
            self._store.put(temporary, final)
            final.unlink(missing_ok=True)  # as it comes back from there is what counts
            temporary.unlink(missing_ok=True)
            self._store.fetch(final)
        same = final.exists() and cmp(data_dir / path, final, shallow=False)
        final.unlink(missing_ok=True)
        if same:
            return not was_there
        if was_there:
            raise UsageError(
                f"The storage has another {path} than there is here: name an empty prefix with --files-url."
            )
        raise PipelineError(f"{path} came back from the storage as another than was put: run this again.")


@contextmanager
def storage(url: str, data_dir: Path) -> Generator[Storage]:
    """The storage, for as long as files are put there; its folder is removed."""
    with tempfile.TemporaryDirectory(prefix=".moving-", dir=data_dir) as folder:
        yield Storage(url, Path(folder))
