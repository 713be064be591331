"""The SHA-256 of a file, taken while it is written."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

PIECE = 4 * 1024 * 1024
"""Bytes that are hashed at a time, always in the same memory. Python's lock is let go meanwhile."""


class Digest:
    """Reads a file that grows, behind whoever writes it, in another thread. To be used in a `with` block.

    Args:
        path: The file, which is there already.

    Raises:
        OSError: It can't be opened; by `finish`, that it can't be read.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._hash = hashlib.sha256()
        self._piece = memoryview(bytearray())
        self._size = self._done = 0
        self._thread = ThreadPoolExecutor(1)
        self._begun: list[Future[None]] = []

    def __enter__(self) -> Digest:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def go_on(self, size: int) -> None:
        """Hashes what is new, now that the file has `size` bytes."""
        self._size = size
        self._begun.append(self._thread.submit(self._read, size))

    def finish(self) -> str:
        """The hash of all of it, in hexadecimal digits."""
        for begun in self._begun:
            begun.result()
        self._close()
        if self._done != self._size:
            raise OSError(f"{self._file.name} has {self._done:,} bytes, and {self._size:,} were written.")
        return self._hash.hexdigest()

    def _close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._file.close()
        self._piece = memoryview(bytearray())

    def _read(self, size: int) -> None:
        if len(self._piece) < min(size - self._done, PIECE):
            self._piece = memoryview(bytearray(min(size - self._done, PIECE)))
        while self._done < size and (count := self._file.readinto(self._piece)):
            self._hash.update(self._piece[:count])
            self._done += count
