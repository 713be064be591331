"""Submit jobs of any providers: one turn a provider, none of which keeps another from its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.submit import submit
from batch_pipeline.batches.turn import with_canary
from batch_pipeline.errors import PipelineError
from batch_pipeline.ledger.jobs import Job


@dataclass
class Sent:
    """What came of it: batches that are at the providers, why others are not, and what stopped all of a provider."""

    created: list[str] = field(default_factory=list[str])
    not_yet: dict[str, str] = field(default_factory=dict[str, str])
    stopped: dict[str, PipelineError] = field(default_factory=dict[str, PipelineError])


def submit_all(
    pipeline: Pipeline,
    jobs: Iterable[Job],
    *,
    together: int | None = None,
    make_way: Callable[[], None] = lambda: None,
) -> Sent:
    """Sends what is planned of these jobs, their canaries first, as far as it goes now.

    Args:
        pipeline: The pipeline.
        jobs: Jobs or attempts.
        together: How many jobs go in one turn; all of a provider's where it is None.
        make_way: Called before each turn; may wait for what is more urgent.
    """
    sent = Sent()
    by_provider: dict[str, list[str]] = {}
    for job in jobs:
        by_provider.setdefault(job.provider, []).extend(with_canary(job))
    for provider, theirs in sorted(by_provider.items()):
        for start in range(0, len(theirs), together or len(theirs)):
            make_way()
            try:
                turn = submit(pipeline, provider, theirs[start : start + (together or len(theirs))])
            except PipelineError as error:
                sent.stopped[provider] = error
                break
            sent.created += turn.created
            sent.not_yet |= turn.not_yet
            if turn.stopped is not None:
                sent.stopped[provider] = turn.stopped
                break  # no other would fare better
    return sent
