"""Retry: what has no answer and may still get one goes again, as another attempt of the same job.

An attempt is made when every batch of the one before is collected. It is unique on root job and number, and no
fingerprint is sent more often than `MAX_ATTEMPTS`, over all jobs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.outcomes.judging import GIVEN_UP, GOES_AGAIN, ON_REQUEST
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import planning, write_plan
from batch_pipeline.batches.points import reach
from batch_pipeline.batches.requests import candidates
from batch_pipeline.batches.requests.candidates import Asked, OpenRequest
from batch_pipeline.batches.requests.custom_id import custom_id
from batch_pipeline.ledger import batches, events, fingerprints, jobs
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.warehouse import lookups
from batch_pipeline.warehouse.cursors import second_cursor
from batch_pipeline.warehouse.lookups import Open, OpenRecord
from batch_pipeline.warehouse.without_pandas import without_pandas

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@without_pandas()
def retry(pipeline: Pipeline, root_job_id: str, *, on_request: bool = False) -> Job | None:
    """Makes the next attempt, where one is due; closes the job where none is.

    Args:
        pipeline: The pipeline.
        root_job_id: The job.
        on_request: A person asks: what was given up, cancelled or lost goes again too.

    Returns:
        The attempt, or None: nothing goes again, or not yet.
    """
    with pipeline.ledger.read() as db:
        last = jobs.attempts(db, jobs.get(db, root_job_id).root_job_id)[-1]
        rows = batches.of_job(db, last.job_id)
    if last.planned_at is None or last.shared_at is None or any(batch.collected_at is None for batch in rows):
        return None
    if last.closed_at is not None and not on_request:
        return None
    outcomes = set(last.shared_outcomes).union(*(batch.outcomes for batch in rows))
    again = GOES_AGAIN | ON_REQUEST | GIVEN_UP if on_request else GOES_AGAIN
    stopped = last.cancel_asked_at is not None and not on_request
    attempt = None if stopped or not outcomes & again else _attempt(pipeline, last, again, on_request=on_request)
    if attempt is None:
        _close(pipeline, root_job_id)
    return attempt


def _attempt(pipeline: Pipeline, last: Job, again: frozenset[str], *, on_request: bool) -> Job | None:
    pipeline.must_be_enabled()
    folder = pipeline.folder(last.job_id)
    folder.fetch(folder.record_index)
    with pipeline.warehouse.read() as connection, second_cursor(connection) as later:
        found = lookups.open_requests(connection, last.job_id, folder.record_index, again)
        going = found if on_request else _not_through(pipeline, connection, last, found)
        if not going:
            return None
        if on_request:
            _ask_again(pipeline, last, going)
        snapshot = _snapshot(last, going)
        with planning(pipeline, _job(last, snapshot)) as job:
            if job.planned_at is not None:
                return job
            reach("retry.attempt_row")
            counter = TokenCounter(pipeline.prices.price(snapshot.provider, snapshot.model).model)
            chunks = candidates.again(folder, _by_custom_id(going), snapshot.endpoint, counter)
            selected = len({record_id for request in going.values() for record_id, *_ in request.records})
            planned = write_plan(pipeline, job, chunks, later, selected=selected)
    reach("retry.planned")
    return planned if planned.records else None


def _not_through(
    pipeline: Pipeline, connection: DuckDBPyConnection, last: Job, found: Mapping[str, Open]
) -> dict[str, Open]:
    """Those that may be sent once more; the others are given up, with the reason that each had last."""
    tries = lookups.tries(connection, list(found))
    most = pipeline.settings.max_attempts
    through = {fp: request for fp, request in found.items() if tries.get(fp, 0) >= most}
    with pipeline.ledger.begin() as db:
        reasons = {fp: (r.outcome, f"sent {tries[fp]} times: {r.reason}") for fp, r in through.items()}
        fingerprints.give_up(db, last.job_id, last.task, reasons)
        elsewhere = fingerprints.which_given_up(db, list(found))
        if through:
            events.record(db, "given up", last.job_id, requests=len(through), after=most)
    return {fp: request for fp, request in found.items() if fp not in elsewhere}


def _ask_again(pipeline: Pipeline, last: Job, going: Mapping[str, Open]) -> None:
    with pipeline.ledger.begin() as db:
        fingerprints.forget_given_up(db, list(going))
        jobs.reopen(db, last.root_job_id)


def _snapshot(last: Job, going: Mapping[str, Open]) -> TaskSnapshot:
    """The same task; where answers were cut off, with the larger limit that its worst case is counted with."""
    snapshot = TaskSnapshot.model_validate_json(last.snapshot)
    if not any(request.outcome == "truncated" for request in going.values()):
        return snapshot
    return snapshot.model_copy(update={"max_output_tokens": 2 * snapshot.max_output_tokens})


def _job(last: Job, snapshot: TaskSnapshot) -> Job:
    attempt = last.attempt + 1
    return Job(
        job_id=f"{last.root_job_id}-again{attempt}",
        key=f"{last.root_job_id}|attempt {attempt}",
        root_job_id=last.root_job_id,
        attempt=attempt,
        task=last.task,
        provider=last.provider,
        model=last.model,
        snapshot=snapshot.model_dump_json(),
        job_type=last.job_type,
        partition_key=last.partition_key,
        selection=last.selection,
        planner=secrets.token_hex(8),
        created_at=time.time(),
        metadata=last.metadata,
    )


def _by_custom_id(going: Mapping[str, Open]) -> dict[str, OpenRequest]:
    return {
        request.custom_id: OpenRequest(
            request.custom_id,
            fingerprint,
            request.input_tokens,
            request.outcome == "truncated",
            [_asked(record, fingerprint, request.outcome) for record in request.records],
        )
        for fingerprint, request in going.items()
    }


def _asked(record: OpenRecord, fingerprint: str, outcome: str) -> Asked:
    record_id, *_, part = record
    return Asked(*record, fingerprint, custom_id(record_id, part), outcome)


def _close(pipeline: Pipeline, root_job_id: str) -> None:
    with pipeline.ledger.begin() as db:
        if jobs.close(db, root_job_id):
            events.record(db, "closed", root_job_id)
            batches.wake(db, root_job_id)
