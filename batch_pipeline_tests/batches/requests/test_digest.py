"""A hash that is taken while the file is written is that of the file."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from batch_pipeline.batches.requests.digest import PIECE, Digest


def test_it_is_the_hash_of_the_file_however_that_grew(tmp_path: Path) -> None:
    path, content = tmp_path / "file", b""
    with path.open("wb") as file, Digest(path) as digest:
        for count in (0, 1, PIECE, 10, 2 * PIECE + 1, 0):
            content += bytes(range(256)) * (count // 256) + b"x" * (count % 256)
            file.write(content[file.tell() :])
            file.flush()
            digest.go_on(len(content))
        assert digest.finish() == hashlib.sha256(content).hexdigest()


def test_a_file_that_can_not_be_read_has_no_hash() -> None:
    with Digest(Path("/proc/self/mem")) as digest:  # of which the first bytes are nobody's
        digest.go_on(1)
        with pytest.raises(OSError, match="Input/output error"):
            digest.finish()


def test_a_file_of_which_something_is_gone_has_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    with Digest(path) as digest:
        digest.go_on(11)
        with pytest.raises(OSError, match="has 10 bytes, and 11 were written"):
            digest.finish()


def test_nothing_goes_on_after_it(tmp_path: Path) -> None:
    path, threads = tmp_path / "file", threading.active_count()
    path.write_bytes(b"x")
    with Digest(path) as digest:
        digest.go_on(1)
    assert threading.active_count() == threads
