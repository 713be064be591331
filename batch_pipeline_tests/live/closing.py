"""To the end of what was begun: finding lost replies, following batches, taking everything away again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from batch_pipeline.errors import ProviderError, ProviderUnreachable
from batch_pipeline_tests.live.account import Account
from batch_pipeline_tests.live.options import SLOWEST_LOOK, Options
from batch_pipeline_tests.live.state import Sample
from batch_pipeline_tests.live.stopping import Stop

ALONE = ("usage", "deleted_before", "deleted_after")
"""Trials whose batches must come to their end by themselves."""


def find_lost(account: Account, options: Options, stop: Stop) -> None:
    """Finds the batches whose reply was lost, and the files; what is not listed by then is lost, and not repeated.

    Its file is deleted: a request that is still on its way may execute nothing.

    Raises:
        Interrupted: The run is to end.
    """
    deadline = time.monotonic() + options.longest
    for sample in account.state.samples:
        if sample.file_id is None:
            account.find_file(sample)
        while sample.unknown and not account.find_batch(sample):
            if time.monotonic() > deadline:
                account.delete(sample)
                sample.lost = sample.measured = True
                break
            stop.wait(options.every)
        if sample.posted_at is not None and sample.trial in ("usage", "deleted_before"):
            sample.measured = True  # all that is left to see is how its batch ends
        account.write()


def cancel_unmeasured(account: Account) -> None:
    """Cancels the batches of samples that another process began to measure and did not end."""
    for sample in account.state.samples:
        if sample.running and (not sample.measured or sample.trial == "listing"):
            account.cancel(sample)


def follow(account: Account, options: Options, stop: Stop, deadline: float) -> bool:
    """Looks at batches until all have ended; False where the time is up before.

    Raises:
        Interrupted: The run is to end.
    """
    pause = options.every
    while running := [sample for sample in account.state.samples if sample.running]:
        for sample in running:
            with suppress(ProviderUnreachable):  # it runs on, whether anybody can see it or not
                account.look(sample)
        if not any(sample.running for sample in running):
            break
        if time.monotonic() > deadline:
            return False
        stop.wait(min(pause, deadline - time.monotonic()))
        pause = min(2 * pause, SLOWEST_LOOK)
    _look_at_new(account)
    return True


def take_away(account: Account) -> Sequence[Sample]:
    """Deletes the files of all that has ended; what is left is given back."""
    for sample in account.state.samples:
        if sample.lost and account.find_batch(sample):  # later than was waited for
            sample.lost = False
            account.look(sample)
        if not sample.file_gone and not sample.kept and sample.file_id and not sample.running and not sample.unknown:
            account.delete(sample)
        if sample.batch and not sample.running and not sample.files_gone:
            account.delete_outputs(sample)
    return [sample for sample in account.state.samples if not sample.tidy]


def cancel_all(account: Account, options: Options) -> Sequence[Sample]:
    """Cancels what runs, deletes every file, and gives back what it could not: what is left ends by itself."""
    for sample in account.state.samples:
        with suppress(ProviderError):  # the others are to be cancelled all the same
            _cancel(account, sample)
    deadline = time.monotonic() + options.patience
    while (running := [s for s in account.state.samples if s.running]) and time.monotonic() < deadline:
        for sample in running:
            with suppress(ProviderError):
                account.look(sample)
        time.sleep(options.every)
    return take_away(account)


def _cancel(account: Account, sample: Sample) -> None:
    if sample.file_id is None:
        account.find_file(sample)
    if sample.unknown:
        account.find_batch(sample)
    if sample.file_id and not sample.file_gone:
        account.delete(sample)
    if sample.running:
        account.cancel(sample)
        sample.interrupted = sample.trial in ALONE


def _look_at_new(account: Account) -> None:
    """The rows of batches that had ended before anybody looked."""
    for sample in account.state.samples:
        if sample.batch and sample.batch.output_file_id and sample.rows is None and not sample.files_gone:
            account.look(sample)
