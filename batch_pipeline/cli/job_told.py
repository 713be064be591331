"""A job as the verbs tell of it: as JSON, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from batch_pipeline.cli.output import plural, say, usd
from batch_pipeline.cli.progress import requests_done

if TYPE_CHECKING:
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.standing.status import JobStatus


@dataclass(frozen=True)
class _JobTold:
    """What `status JOB --json` prints, in this order."""

    job_id: str
    task: str
    state: str
    records: int
    requests: int
    outcomes: object
    attempts: int
    batches: object
    estimated_cost_usd: float
    cost_usd: float
    provider: str
    model: str
    partition_key: str | None
    waits_for: str | None
    input_tokens: int
    skipped: int
    reused: int
    created_at: float
    mode: str
    canary: str | None
    job_type: str
    metadata: Mapping[str, str]
    error_message: str | None


def job_as_json(now: JobStatus) -> dict[str, object]:
    """What `status JOB --json` prints."""
    told: dict[str, object] = {field.name: getattr(now, field.name) for field in fields(_JobTold)}
    return told | {"outcomes": dict(now.outcomes), "batches": [vars(batch) for batch in now.batches]}


def say_collected(now: JobStatus) -> None:
    """What a job came to so far, and what to do next."""
    why = now.waits_for or now.error_message
    waits = f" ({why})" if why else ""
    say(f"Job {now.job_id} is {spoken(now.state)}{waits}: {plural(now.records, 'record')}, {outcomes_told(now)}.")
    say(f"  cost {usd(now.cost_usd)}, estimated at {usd(now.estimated_cost_usd)}")
    if now.stopped:
        say(f"Next: batch-pipeline details {now.canary}")
    elif not now.final:
        done, total = requests_done(now)
        say(f"  {done:,} of {plural(total, 'request')} completed at {now.provider}")
        say(f"Next: batch-pipeline collect {now.job_id} --wait")
    elif now.answered:
        say(f'Next: batch-pipeline query "FROM {now.task}_latest"')


def status_of(pipeline: Pipeline, job: str) -> JobStatus:
    """Where a job stands, as the ledger knows it."""
    from batch_pipeline.batches.standing.status import status

    return status(pipeline, job)


def outcomes_told(now: JobStatus) -> str:
    """`3 answered, 1 failed`."""
    return ", ".join(f"{count:,} {outcome}" for outcome, count in now.outcomes.items()) or "nothing yet"


def spoken(state: str) -> str:
    """A state as it is said."""
    return state.replace("_", " ")
