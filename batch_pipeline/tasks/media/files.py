"""The bytes of a file that a record names, with a sentence for whatever is wrong with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from batch_pipeline.tasks.content import UnusableRecord


def read_bytes(file: Path, code: str, max_bytes: int, sha256: str | None = None) -> bytes:
    """The whole file.

    Args:
        file: The file.
        code: The error's, where it can't be read.
        max_bytes: A larger file is not read.
        sha256: What it was when it was loaded.

    Raises:
        UnusableRecord: It is missing, can't be opened or is too large: `code`; it is another one now: `changed_file`.
    """
    try:
        size = file.stat().st_size
        if size > max_bytes:
            raise UnusableRecord(code, f"{file} has {size:,} bytes; more than {max_bytes:,} are not taken.")
        data = file.read_bytes()
    except OSError as error:
        raise UnusableRecord(code, f"{file} can't be read: {error.strerror or error}.") from None
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise UnusableRecord("changed_file", f"{file} has changed since it was loaded; load its folder again.")
    return data
