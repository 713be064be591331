"""How each assumption is tried. A trial takes as many samples as it lacks, and those of an earlier process count."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

from batch_pipeline.errors import ProviderUnreachable
from batch_pipeline_tests.live.account import Account
from batch_pipeline_tests.live.money import Money
from batch_pipeline_tests.live.options import STAYS, Options
from batch_pipeline_tests.live.state import Sample, State
from batch_pipeline_tests.live.stopping import Stop

ROWS = 3
"""Requests of the batch whose usage is compared."""


class Trials:
    """What is left to try in a run."""

    def __init__(self, account: Account, options: Options, stop: Stop) -> None:
        self._account = account
        self._options = options
        self._stop = stop

    def take(self) -> bool:
        """Takes every sample that is missing; False where there was none.

        Raises:
            Interrupted: The run is to end.
            PipelineError: The provider refused, or did not answer.
        """
        missing = list(self._missing())
        for sample in missing:
            self._stop.wait(0)
            sample()
            self._account.write()
        return bool(missing)

    def _missing(self) -> Iterator[Callable[[], None]]:
        state, options = self._account.state, self._options
        if not state.of("usage"):  # first: it takes longest to come to its end
            yield self._usage
        yield from [self._delete] * (options.samples - len(state.of("delete")))
        for seconds in missing_posts(state, options):
            yield lambda after=seconds: self._deleted_before(after)
        if not state.of("deleted_after"):
            yield self._deleted_after
        yield from [self._listing] * (options.samples - len(state.of("listing")))

    def _usage(self) -> None:
        sample = self._account.upload("usage", lines=ROWS)
        self._account.post(sample)
        sample.measured = not sample.unknown

    def _delete(self) -> None:
        sample = self._account.upload("delete")
        if self._deleted(sample):
            sample.lag, sample.flickers = self._until(lambda: not self._account.shows_file(sample))
        sample.measured = True

    def _deleted_before(self, after: float) -> None:
        sample = self._account.upload("deleted_before", post_after=after)
        if self._deleted(sample):
            self._stop.wait(after)
            self._account.post(sample)
        sample.measured = not sample.unknown

    def _deleted_after(self) -> None:
        sample = self._account.upload("deleted_after")
        self._account.post(sample)
        if sample.batch is not None:
            self._deleted(sample)
        sample.measured = not sample.unknown

    def _listing(self) -> None:
        sample = self._account.upload("listing")
        self._account.post(sample)
        if sample.batch is not None:
            sample.lag, sample.flickers = self._until(lambda: self._account.lists(sample))
            self._account.cancel(sample)
        sample.measured = not sample.unknown

    def _deleted(self, sample: Sample) -> bool:
        """Deletes its file; False where the server knows no DELETE. One that failed says nothing: it is no sample."""
        if not self._account.delete(sample) and not sample.kept:
            raise ProviderUnreachable(f"A file can't be deleted now ({sample.not_deleted}). Run this again later.")
        return sample.file_gone

    def _until(self, seen: Callable[[], bool]) -> tuple[float | None, int]:
        """After how many seconds the first look began that saw it (None: none did), and how many after it did not."""
        begun, at = time.monotonic(), 0.0
        while at <= self._options.longest:
            if seen():
                return at, self._flickers(seen)
            self._stop.wait(begun + at + self._options.every - time.monotonic())
            at = time.monotonic() - begun
        return None, 0

    def _flickers(self, seen: Callable[[], bool]) -> int:
        flickers = 0
        for _ in range(STAYS):
            self._stop.wait(self._options.every)
            flickers += not seen()
        return flickers


def missing_posts(state: State, options: Options) -> list[float]:
    """How long after a DELETE batches are still to be created."""
    return list((Counter(options.posts_after) - Counter(s.post_after for s in state.of("deleted_before"))).elements())


def bound_usd(state: State, options: Options, money: Money) -> float:
    """The most that all of a run can cost: what was asked for already, and what is missing."""
    single = options.samples - len(state.of("listing")) + len(missing_posts(state, options))
    single += not state.of("deleted_after")
    usage = 0.0 if state.of("usage") else money.bound_usd(ROWS)
    return state.bound_usd + max(0, single) * money.bound_usd(1) + usage
