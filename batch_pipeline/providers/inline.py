"""Requests that go in the body of the create, for a provider that takes no files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from batch_pipeline.wire.messages import CLAIM_LENGTH

_CUSTOM_ID = b'{"custom_id":"'
_PIECE = 1024 * 1024
"""Bytes that are handed on at a time: one line after the other would be a write each."""


@dataclass(frozen=True)
class InlineRequests:
    """The lines of a plan's file as the body of a create, with the first characters of a claim before each custom_id.

    The body is made again each time that it is read; the file stays as it was planned.

    Args:
        path: A plan's file; each line begins with its custom_id.
        claim: Of the send.
    """

    path: Path
    claim: str

    def pieces(self) -> Iterator[bytes]:
        """The body, in pieces of some megabytes."""
        piece = bytearray(b'{"requests":[')
        for number, line in enumerate(self._lines()):
            piece += b"," * bool(number) + line
            if len(piece) >= _PIECE:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece) + b"]}"

    @property
    def sha256(self) -> str:
        """Of the body."""
        return self._measured[0]

    @property
    def bytes(self) -> int:
        """Of the body."""
        return self._measured[1]

    @cached_property
    def _measured(self) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        for piece in self.pieces():
            digest.update(piece)
            size += len(piece)
        return digest.hexdigest(), size

    def _lines(self) -> Iterator[bytes]:
        claimed = b"%b%b-" % (_CUSTOM_ID, self.claim[:CLAIM_LENGTH].encode())
        with self.path.open("rb") as file:
            for line in file:
                yield claimed + line.removeprefix(_CUSTOM_ID).rstrip(b"\n")
