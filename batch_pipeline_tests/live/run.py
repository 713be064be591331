"""One run, or the rest of one: try, follow to the end, take everything away, tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from batch_pipeline.errors import Disabled, ProviderError, UsageError
from batch_pipeline.providers.openai import OpenAIProvider
from batch_pipeline.settings import Settings
from batch_pipeline_tests.live.account import Account
from batch_pipeline_tests.live.closing import cancel_all, cancel_unmeasured, find_lost, follow, take_away
from batch_pipeline_tests.live.findings import Finding, findings
from batch_pipeline_tests.live.money import LIMIT_USD, Money
from batch_pipeline_tests.live.options import Options
from batch_pipeline_tests.live.report import table, write_report
from batch_pipeline_tests.live.state import State, StateFile
from batch_pipeline_tests.live.stopping import Interrupted, Stop
from batch_pipeline_tests.live.trials import Trials, bound_usd

AS_ASSUMED, NOT_AS_ASSUMED, UNDER_WAY, INTERRUPTED = 0, 1, 3, 130
Say = Callable[[str], None]


def run(settings: Settings, model: str, options: Options, say: Say) -> int:
    """Goes on with the run that is under way, or begins one; its exit code, as the constants above name it.

    Raises:
        Disabled: The pipeline is switched off.
        MissingKey: There is no key.
        UnpricedModel: The model's price is not known.
        TooDear: It could cost more than a cent; nothing was sent.
        UsageError: Another run is at work, or the one under way belongs to another key, base URL or model.
        ProviderError: The provider refused, or did not answer; what was made is cancelled and deleted.
    """
    if not settings.enabled:
        raise Disabled("BATCH_PIPELINE_ENABLED is false, so nothing is sent.")
    provider = OpenAIProvider.openai(settings)
    try:
        money, file = Money(settings, model), StateFile(settings.data_dir / "live")
        with _alone(file.folder):
            state = _state(file, provider, model)
            _tell_bound(state, options, money, say)
            provider.list(time.time())  # a key that is refused is refused here, before anything is made
            account = Account(settings, provider, state, file, money)
            try:
                return _Run(account, options, file, provider.wait_seconds, say).go()
            finally:
                account.close()
    finally:
        provider.close()


class _Run:
    def __init__(self, account: Account, options: Options, file: StateFile, wait_seconds: float, say: Say) -> None:
        self._account = account
        self._options = options
        self._file = file
        self._wait_seconds = wait_seconds
        self._say = say

    def go(self) -> int:
        stop = Stop()
        with stop.at_signals():
            try:
                whole = self._try(stop)
            except Interrupted:
                self._clear()
                self._tell(whole=False)
                return INTERRUPTED
            except Exception:
                self._clear()
                raise
            left = take_away(self._account)
        found = self._tell(whole=whole and not left)
        if not whole or left:
            return UNDER_WAY
        self._file.remove()
        doubtful = [finding for finding in found if finding.assumption.rests and not finding.seen.holds]
        return NOT_AS_ASSUMED if doubtful else AS_ASSUMED

    def _try(self, stop: Stop) -> bool:
        deadline = time.monotonic() + self._options.limit
        trials = Trials(self._account, self._options, stop)
        find_lost(self._account, self._options, stop)
        cancel_unmeasured(self._account)
        self._follow_cut_short(stop, deadline)
        while True:
            more = trials.take()
            find_lost(self._account, self._options, stop)
            if more:
                self._say("All is tried; waiting for batches to come to their end.")
            if not follow(self._account, self._options, stop, deadline):
                return False
            if not more:
                return True

    def _follow_cut_short(self, stop: Stop, deadline: float) -> None:
        """What an earlier process cancelled decides by its end whether it is tried again."""
        if any(sample.interrupted and sample.running for sample in self._account.state.samples):
            follow(self._account, self._options, stop, deadline)

    def _clear(self) -> None:
        self._say("Cancelling batches and deleting files; once more Ctrl-C leaves them to the next `make live`.")
        try:
            left = cancel_all(self._account, self._options)
        except ProviderError as error:
            self._say(f"{error} Not all could be cancelled and deleted: run this again.")
            return
        self._account.write()
        for sample in left:
            self._say(f"Left at the provider: {sample.batch.id if sample.batch else sample.filename}. Run this again.")

    def _tell(self, *, whole: bool) -> list[Finding]:
        state = self._account.state
        found = findings(state, self._wait_seconds)
        path = write_report(self._file.folder, state, found)
        self._account.write()
        self._say(table(found))
        self._say(f"Written to {path}, and the samples beside it.")
        if any(sample.kept for sample in state.samples):
            self._say("This server deletes no files: what was uploaded stays there until it expires.")
        if not whole:
            open_ones = [sample.batch.id for sample in state.samples if sample.batch and sample.running]
            self._say(
                f"Not through: {', '.join(open_ones) or 'not all is tried'}. Run this again; nothing is bought twice."
            )
        return found


def _state(file: StateFile, provider: OpenAIProvider, model: str) -> State:
    state = file.read()
    if state is None:
        return file.begin(provider.account, provider.base_url, model)
    if state.account != provider.account or state.model != model:
        raise UsageError(
            f"A run with {state.model} at {state.base_url} is under way, with another key, base URL or model. Put them "
            f"back and run this again; or give it up by removing {file.path}, and look there for what it left."
        )
    return state


def _tell_bound(state: State, options: Options, money: Money, say: Say) -> None:
    most = bound_usd(state, options, money)
    say(f"At most {most:.6f} USD with {state.model} in batch, at today's price; {LIMIT_USD} USD is the limit.")
    money.must_stay_below(most)
    if state.samples:
        say(f"Going on with the run of {state.begun:%Y-%m-%d %H:%M} UTC.")


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    lock = FileLock(folder / "lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError("Another `make live` is at work here. Wait for it, or end it.") from None
    try:
        yield
    finally:
        lock.release()
