"""Counts the tokens of a large plan in a process beside its own, while its lines are written.

The tokenizer that is quick at once holds Python's lock while it counts, and the one that is quicker while it loads, so
a thread would gain nothing. The process reads texts from a pipe and answers with counts; it ends when the pipe does, so
with whoever started it, however that died. Where it can't be started, or dies, the same is counted here.
"""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TypeVar, cast

import orjson

from batch_pipeline.batches.money.tokens import TokenCounter

FROM = 20_000
"""Records from which on it is worth its start, which takes half a second of another core."""
_LENGTH = 8
"""Bytes that say how many follow."""

Begun = TypeVar("Begun")

Counts = Callable[[], list[int]]
"""Gives what was asked for, when it is there."""


class Counting:
    """Counts texts, given as JSON; in the process that it is given, or by itself.

    Args:
        counter: Knows the encoding.
        process: One that runs `serve`.
        thread: Waits for it.
    """

    def __init__(
        self,
        counter: TokenCounter,
        process: subprocess.Popen[bytes] | None = None,
        thread: ThreadPoolExecutor | None = None,
    ) -> None:
        self.counter = counter
        self._process = process
        self._thread = thread

    @property
    def beside(self) -> bool:
        """Whether a process does so."""
        return self._process is not None

    def begin(self, bodies: Sequence[bytes]) -> Counts:
        """Begins to count texts (JSON strings); whoever calls what it gives waits for the tokens of each."""
        if self._process is None or self._thread is None:
            return lambda: self._here(bodies)
        return self._thread.submit(self._beside, bodies).result

    def _beside(self, bodies: Sequence[bytes]) -> list[int]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return self._here(bodies)
        try:
            _write(process.stdin, b"[%b]" % b",".join(bodies))
            counts = array("q", _read(process.stdout))
        except OSError:
            self._process = None
            return self._here(bodies)
        return counts.tolist()

    def _here(self, bodies: Sequence[bytes]) -> list[int]:
        return self.counter.count_many([cast(str, orjson.loads(body)) for body in bodies])


@contextmanager
def counting(counter: TokenCounter, records: int) -> Generator[Counting]:
    """Something that counts so many records, until the end of the block."""
    with ThreadPoolExecutor(1) as thread:
        process = _start(counter.model) if records >= FROM else None
        try:
            yield Counting(counter, process, thread)
        finally:
            if process is not None:
                process.kill()  # it has nothing that could be lost
                process.communicate()


def one_late(begun: Iterable[Begun]) -> Generator[Begun]:
    """The same, each when the next one was begun too: what was begun goes on meanwhile."""
    before: list[Begun] = []
    for each in begun:
        yield from before
        before = [each]
    yield from before


def _start(model: str) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            [sys.executable, "-m", __name__, model],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None


def serve(asked: IO[bytes], told: IO[bytes], counter: TokenCounter) -> None:
    """Answers until nobody asks any more."""
    counter.count_masses([""])  # what that takes to load is over when the first texts come
    while True:
        try:
            texts = cast("list[str]", orjson.loads(_read(asked)))
            _write(told, array("q", counter.count_masses(texts)).tobytes())
        except OSError:
            return


def _write(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(len(content).to_bytes(_LENGTH) + content)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes:
    """One piece.

    Raises:
        BrokenPipeError: The other end is closed.
    """
    length = int.from_bytes(_exactly(pipe, _LENGTH))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) != length:
        raise BrokenPipeError("The other end of the pipe is closed.")
    return content


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, TokenCounter(sys.argv[1]))
