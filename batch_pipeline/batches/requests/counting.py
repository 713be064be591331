"""Counts the tokens of a large plan in another thread, while its lines are written.

The tokenizer of masses lets go of Python's lock as it counts. It takes longer to load than few texts take to be
counted by the other one, here and when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from batch_pipeline.batches.money.tokens import TokenCounter

FROM = 10_000
"""Records from which on another thread is worth it: what it takes to load is then no longer waited for."""

Counts = Callable[[], list[int]]
"""Gives what was asked for, when it is there."""


class Counting:
    """Counts texts: in the thread that it is given, or when they are asked for.

    Args:
        counter: Knows the encoding.
        thread: Counts beside the caller.
    """

    def __init__(self, counter: TokenCounter, thread: ThreadPoolExecutor | None = None) -> None:
        self.counter = counter
        self._thread = thread

    @property
    def beside(self) -> bool:
        """Whether another thread counts, and costs this one nothing."""
        return self._thread is not None

    def load(self) -> None:
        """Begins to load what that takes, where another thread counts."""
        if self._thread is not None:
            self._thread.submit(self.counter.count_masses, [])

    def begin(self, texts: Sequence[str]) -> Counts:
        """Begins to count; whoever calls what it gives waits for the tokens of each text."""
        if self._thread is None:
            return lambda: self.counter.count_many(texts)
        return self._thread.submit(self.counter.count_masses, texts).result


@contextmanager
def counting(counter: TokenCounter, records: int) -> Generator[Counting]:
    """Something that counts so many records, until the end of the block."""
    if records < FROM:
        yield Counting(counter)
        return
    thread = ThreadPoolExecutor(1)
    # started now: one that starts goes on with Python's lock, and what it does first, loading, takes 0.05 s of that;
    # one that was waiting gets it when the warehouse is read
    thread.submit(int).result()
    try:
        yield Counting(counter, thread)
    finally:
        thread.shutdown(cancel_futures=True)
