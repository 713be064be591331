"""A large file goes up and comes down in a process whose memory does not grow with it."""

from __future__ import annotations

import hashlib
import resource
from functools import partial
from pathlib import Path

import pytest

from batch_pipeline_tests.batches.storage.conftest import Kept, Shared
from batch_pipeline_tests.batches.storage.test_laws import put
from batch_pipeline_tests.processes import processes
from batch_pipeline_tests.scale.object_storage import ObjectStorage as ObjectServer

MEGABYTE = 1024 * 1024
SIZE, MOST = 100 * MEGABYTE, 64 * MEGABYTE
"""Four parts of 8 MB go up at once."""


def peak() -> int:
    """The most that this process has had in memory, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _up_and_down(shared: Shared, folder: Path) -> None:
    from batch_pipeline.batches.storage.disk import half

    shared.into_environment()
    ours, theirs = (Kept(shared.of_host(folder / name), folder / name) for name in "ab")
    put(ours, "small", b"what is imported and connected by it does not count")
    final = folder / "a" / "job" / "large"
    with half(final) as temporary:
        with temporary.open("wb") as file:
            for number in range(SIZE // MEGABYTE):
                file.write(bytes([number]) * MEGABYTE)
        before = peak()
        assert ours.files.put(temporary, final)
    up = peak()
    copy = folder / "b" / "job" / "large"
    assert theirs.files.fetch(copy)
    (folder / "grew").write_text(f"{up - before} {peak() - before}")
    with final.open("rb") as sent, copy.open("rb") as came:
        assert hashlib.file_digest(sent, "sha256").digest() == hashlib.file_digest(came, "sha256").digest()


@pytest.mark.scale
def test_a_file_of_100_megabytes_takes_the_memory_of_some_of_its_parts(
    object_storage: ObjectServer, tmp_path: Path
) -> None:
    shared = Shared(f"s3://{object_storage.new_bucket()}", object_storage.variables)
    process = processes.Process(target=partial(_up_and_down, shared, tmp_path))
    process.start()
    process.join(100)
    assert process.exitcode == 0
    up, both = (int(number) for number in (tmp_path / "grew").read_text().split())
    assert up < MOST
    assert both < MOST
