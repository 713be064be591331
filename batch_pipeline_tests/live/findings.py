"""What the samples say about each assumption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batch_pipeline_tests.live.assumptions import ASSUMPTIONS, NOT_TRIED, Assumption, Name
from batch_pipeline_tests.live.state import Entry, Sample, State


@dataclass(frozen=True)
class Seen:
    """In words, and whether it is as assumed; None where that can't be said."""

    words: str
    holds: bool | None = None


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    assumption: Assumption
    seen: Seen


def findings(state: State, wait_seconds: float) -> list[Finding]:
    """A finding for each assumption, in their order; `wait_seconds` is the WAIT that is set for this provider."""
    judges: dict[Name, Callable[[], Seen]] = {
        "deleted_before": lambda: _deleted_before(state, wait_seconds),
        "deleted_after": lambda: _deleted_after(state.of("deleted_after")),
        "delete_lag": lambda: _delete_lag(state, wait_seconds),
        "listing_lag": lambda: _listing_lag(state, wait_seconds),
        "listing_order": lambda: _entries(state, lambda entry: entry.newest_first, "newest first"),
        "listing_names": lambda: _listing_names(state),
        "clock": lambda: _clock(state),
        "usage": lambda: _usage(state),
        "request_id": lambda: _entries(state, lambda entry: entry.request_id, "`x-request-id` there"),
        "account_headers": lambda: _account_headers(state),
    }
    return [Finding(assumption, judges[assumption.name]()) for assumption in ASSUMPTIONS]


def _deleted_before(state: State, wait_seconds: float) -> Seen:
    samples = sorted(state.of("deleted_before"), key=lambda sample: sample.post_after)
    if not samples:
        return Seen(NOT_TRIED)
    words = "; ".join(f"created {sample.post_after:g} s after DELETE: {_outcome(sample)}" for sample in samples)
    if any(sample.running or sample.lost or sample.kept for sample in samples):
        return Seen(words)
    executed = [sample.post_after for sample in samples if sample.executed]
    if not executed:
        return Seen(words, holds=True)
    lag = next((s.post_after for s in samples if s.post_after > max(executed)), None)
    return Seen(words, holds=lag is not None and lag + _longest(state.of("listing")) < wait_seconds)


def _deleted_after(samples: Sequence[Sample]) -> Seen:
    words = "; ".join(map(_outcome, samples)) or NOT_TRIED
    known = [sample for sample in samples if sample.batch is not None and not sample.running and not sample.kept]
    return Seen(words, holds=True) if known else Seen(words)


def _outcome(sample: Sample) -> str:
    batch = sample.batch
    if sample.kept:
        return f"the file could not be deleted ({sample.not_deleted})"
    if batch is None:
        return f"refused ({sample.refused}), nothing executed" if sample.refused else "the reply was lost"
    if sample.running:
        return f"a batch that is {batch.status} still"
    errors = [f"{error.code}: {error.message}" for error in (batch.errors.data if batch.errors else [])]
    said = f" ({'; '.join(errors)})" if errors else ""
    how = "cancelled by this run" if sample.interrupted else batch.status
    return f"a batch that ended {how}{said}, {'executed' if sample.executed else 'nothing executed'}"


def _delete_lag(state: State, wait_seconds: float) -> Seen:
    samples = state.of("delete")
    if refusals := [sample.not_deleted for sample in samples if sample.kept]:
        return Seen(f"not deleted: {refusals[0]}", holds=False)
    return _lag(samples, "gone", _longest(state.of("listing")), wait_seconds)


def _listing_lag(state: State, wait_seconds: float) -> Seen:
    samples = [sample for sample in state.of("listing") if sample.batch is not None]
    return _lag(samples, "listed", _longest(state.of("delete")), wait_seconds)


def _lag(samples: Sequence[Sample], verb: str, other_lag: float, wait_seconds: float) -> Seen:
    if not samples:
        return Seen(NOT_TRIED)
    lags = [sample.lag for sample in samples if sample.lag is not None]
    never, flickers = len(samples) - len(lags), sum(sample.flickers for sample in samples)
    words = [f"{verb} after {', '.join(f'{lag:.2f}' for lag in sorted(lags))} s"] if lags else []
    words += [f"{never} of {len(samples)} not {verb} as long as was looked"] if never else []
    words += [f"{flickers} times not {verb} again after that"] if flickers else []
    holds = not never and not flickers and max(lags, default=0.0) + other_lag < wait_seconds
    return Seen(f"{'; '.join(words)} (WAIT {wait_seconds:g} s)", holds)


def _longest(samples: Sequence[Sample]) -> float:
    return max((sample.lag for sample in samples if sample.lag is not None), default=0.0)


def _listing_names(state: State) -> Seen:
    entries = _all_entries(state)
    if not entries:
        return Seen(NOT_TRIED)
    metadata, files = (sum(values) for values in zip(*((e.metadata, e.input_file_id) for e in entries), strict=True))
    words = f"of {len(entries)} batches: `metadata` of {metadata}, `input_file_id` of {files}"
    return Seen(words, holds=metadata == files == len(entries))


def _clock(state: State) -> Seen:
    entries = _all_entries(state)
    off = [entry.clock_off for entry in entries if entry.clock_off is not None]
    if not off:
        return Seen("no `Date`", holds=False) if entries else Seen(NOT_TRIED)
    return Seen(f"`Date` there, {min(off):+.1f} to {max(off):+.1f} s off this clock", holds=len(off) == len(entries))


def _account_headers(state: State) -> Seen:
    entries = _all_entries(state)
    if not entries:
        return Seen(NOT_TRIED)
    organization, project = all(e.organization for e in entries), all(e.project for e in entries)
    named = {True: "there", False: "not there"}
    words = f"`openai-organization` {named[organization]}, `openai-project` {named[project]}"
    return Seen(words, holds=organization and project)


def _entries(state: State, holds: Callable[[Entry], bool], words: str) -> Seen:
    entries = _all_entries(state)
    if not entries:
        return Seen(NOT_TRIED)
    right = sum(map(holds, entries))
    return Seen(f"{words} in {right} of {len(entries)} answers", holds=right == len(entries))


def _all_entries(state: State) -> list[Entry]:
    return [sample.entry for sample in state.samples if sample.entry is not None]


def _usage(state: State) -> Seen:
    asked = state.of("usage")
    if not any(sample.rows for sample in asked):
        return Seen("; ".join(map(_outcome, asked)) or NOT_TRIED)
    completed = [s for s in state.samples if s.rows and s.batch and s.batch.status == "completed"]
    agreed = sum(bool(sample.rows and sample.rows.agrees) for sample in completed)
    words = [*map(_compared, asked), f"{agreed} of {len(completed)} completed batches agree"]
    return Seen("; ".join(words), holds=agreed == len(completed) if completed else None)


def _compared(sample: Sample) -> str:
    rows, usage = sample.rows, sample.batch.usage if sample.batch else None
    if rows is None:
        return ""
    ours = f"{rows.rows} rows: input {rows.input_tokens}, cached {rows.cached_tokens}, output {rows.output_tokens}"
    if usage is None:
        return f"{ours}; no `usage`"
    cached = usage.input_tokens_details.cached_tokens
    return f"{ours}; `usage`: input {usage.input_tokens}, cached {cached}, output {usage.output_tokens}"
