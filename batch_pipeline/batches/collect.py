"""Collect: what a batch came to, whole, once, and in order.

Both files lie whole on the disk before anything is stored; results and answers are stored in one DuckDB transaction;
only then, in one ledger transaction, are the cost and the state written, and the fingerprints freed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch_pipeline.batches.outcomes.download import Files, download
from batch_pipeline.batches.outcomes.judging import GIVEN_UP, GOES_AGAIN
from batch_pipeline.batches.outcomes.rows import Rows, too_many_tokens
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.batches.requests.garbage import no_cycles
from batch_pipeline.errors import ProviderError
from batch_pipeline.ledger import batches, events, fingerprints, jobs, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.warehouse import lookups
from batch_pipeline.warehouse.results import store_batch
from batch_pipeline.warehouse.shared import store_shared
from batch_pipeline.warehouse.without_pandas import without_pandas
from batch_pipeline.warehouse.written import Absent, Stored, Written

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from sqlalchemy import Connection

Ends = Mapping[str, tuple[str, str | None]]
"""By fingerprint, a request's outcome, and why."""


@dataclass
class Collected:
    """What one turn came to: batches collected, and why others are not."""

    batches: list[str] = field(default_factory=list[str])
    not_yet: dict[str, str] = field(default_factory=dict[str, str])


class _LookAgain(Exception):
    """Rows are in no file: stored is nothing, and the files are looked at again later."""

    def __init__(self, missing: int) -> None:
        super().__init__(missing)
        self.missing = missing


@without_pandas()
def collect(pipeline: Pipeline, job_id: str) -> Collected:
    """Collects every batch of the job that has ended, and hands over what it shares with other jobs.

    Raises:
        ProviderError: A file could not be had; the other batches are collected.
        WarehouseBusy: Another process holds the warehouse for longer than we wait.
    """
    with pipeline.ledger.read() as db:
        job = jobs.get(db, job_id)
        ended = [batch for batch in batches.of_job(db, job_id) if batch.ended_at and not batch.collected_at]
    turn = Collected()
    failed: ProviderError | None = None
    for batch in ended:
        try:
            why_not = collect_batch(pipeline, job, batch)
        except ProviderError as error:
            failed = failed or error
            continue
        if why_not is None:
            turn.batches.append(batch.batch_id)
        else:
            turn.not_yet[batch.batch_id] = why_not
    if job.planned_at is not None and job.shared_at is None:
        _hand_over(pipeline, job)
    if failed is not None:
        raise failed
    return turn


def collect_batch(pipeline: Pipeline, job: Job, batch: Batch) -> str | None:
    """Collects one batch that has ended; None when it is collected, else why it is not."""
    if _of_another_account(pipeline, job, batch):
        return "it was sent with another key or base URL, and only that can fetch its files: put it back"
    if batch.recheck_at is not None and batch.recheck_at > time.time():
        return f"rows are in no file of the provider's; it is looked again in {batch.recheck_at - time.time():.0f} s"
    if batch.recheck_at is not None:
        batch = _with_late_files(pipeline, job, batch)
    files = download(pipeline, batch, look=2 if batch.recheck_at else 1)
    try:
        stored, through = _store(pipeline, job, batch, files)
    except _LookAgain as again:
        return _look_again(pipeline, job, batch, again.missing)
    reach("collect.duckdb_committed")
    if stored is not None:
        _settle(pipeline, job, batch, files, stored, through)
    reach("collect.ledger_committed")
    if pipeline.settings.delete_remote_files:
        _delete_remote_files(pipeline, job, batch)
    return None


def _delete_remote_files(pipeline: Pipeline, job: Job, batch: Batch) -> None:
    """What is collected lies here; at the provider it would be kept for 30 days."""
    if job.at_once:
        return
    provider = pipeline.provider(job.provider)
    for file_id in (batch.input_file_id, batch.output_file_id, batch.error_file_id):
        if file_id is not None:
            provider.delete_file(file_id)
    reach("collect.remote_deleted")


def _with_late_files(pipeline: Pipeline, job: Job, batch: Batch) -> Batch:
    """Before a row is missing for good, the provider is asked which files there are: it may have shown them late."""
    with pipeline.ledger.read() as db:
        send = sends.last_of_batch(db, batch.batch_id)
    if send is None or send.remote_id is None or job.at_once:
        return batch
    remote = pipeline.provider(job.provider).get(send.remote_id)
    if remote is None:
        return batch
    now = {"output_file_id": remote.output_file_id, "error_file_id": remote.error_file_id}
    with pipeline.ledger.begin() as db:
        return batches.write(db, batch, **now) or batches.get(db, batch.batch_id)


def _of_another_account(pipeline: Pipeline, job: Job, batch: Batch) -> bool:
    """Another key's files would be answered as gone, and what is paid would be given up as lost."""
    if job.at_once or not (batch.output_file_id or batch.error_file_id or batch.recheck_at):
        return False
    with pipeline.ledger.read() as db:
        send = sends.last_of_batch(db, batch.batch_id)
    return send is not None and send.account != pipeline.provider(job.provider).account


def _store(pipeline: Pipeline, job: Job, batch: Batch, files: Files) -> tuple[Stored | None, Ends]:
    """One transaction in the warehouse; None where another process has collected the batch meanwhile.

    With it, the requests that have been sent so often that they are given up.
    """
    snapshot = TaskSnapshot.model_validate_json(job.snapshot)
    written = written_as(pipeline, job, batch.batch_id, batch.number, _answered_at(batch))
    absent = _absent(job, batch, files)

    def store(connection: DuckDBPyConnection) -> tuple[Stored | None, Ends]:
        reach("collect.duckdb_open")
        with pipeline.ledger.read() as db:
            if batches.get(db, batch.batch_id).collected_at is not None:
                return None, {}
        rows = Rows(connection, pipeline, snapshot, written)
        with no_cycles():
            rows.put_errors(batch) if files.failed else rows.put_files(files.paths, files.garbled)
        stored = store_batch(connection, written, absent)
        missing = stored.requests.get("missing", 0)
        if missing and batch.recheck_at is None and not job.at_once:
            raise _LookAgain(missing)
        return stored, _through(pipeline, connection, stored)

    # with two threads, each statement on a batch took three times the CPU, and no less time
    return pipeline.warehouse.transact(store, threads=1)


def _through(pipeline: Pipeline, connection: DuckDBPyConnection, stored: Stored) -> Ends:
    """What was sent so often, over all jobs, that it does not go again; noted before another plan can take it."""
    without = {fp: end for fp, end in stored.ends.items() if end[0] in GOES_AGAIN}
    tries = lookups.tries(connection, list(without)) if without else {}
    return {
        fp: (outcome, f"sent {tries[fp]} times: {why or outcome}")
        for fp, (outcome, why) in without.items()
        if tries.get(fp, 0) >= pipeline.settings.max_attempts
    }


def _answered_at(batch: Batch) -> float:
    """When the batch ended. The provider tells whole seconds: within one, what is collected later is the newer."""
    now = time.time()
    return now if batch.ended_at is None else max(batch.ended_at, min(now, batch.ended_at + 0.999999))


def _absent(job: Job, batch: Batch, files: Files) -> Absent:
    """What becomes of a request that is in no row."""
    if batch.remote_status == "cancelled" and (batch.submitted_at is None or job.at_once):
        return Absent("cancelled", "cancelled", "never sent: its job was cancelled")
    if files.lost:
        return Absent("lost", "lost", "the provider no longer has the file that its row was in")
    if files.failed:
        code = str(batch.errors[0].get("code")) if batch.errors else "batch_failed"
        message = f"not executed: its batch failed validation ({_first_error(batch)})"
        return Absent("retryable", code if too_many_tokens(batch) else "batch_failed", message)
    return Absent("missing", "missing", "in no file that the provider gave")


def _first_error(batch: Batch) -> str:
    return str(batch.errors[0].get("message")) if batch.errors else "the provider did not say why"


def _look_again(pipeline: Pipeline, job: Job, batch: Batch, missing: int) -> str:
    seconds = pipeline.provider(job.provider).recheck_seconds
    with pipeline.ledger.begin() as db:
        if batches.write(db, batch, recheck_at=time.time() + seconds):
            events.record(db, "rows missing", job.job_id, batch.batch_id, requests=missing, again_in=seconds)
    return f"{missing} rows are in no file of the provider's; it is looked again in {seconds:.0f} s"


def _settle(pipeline: Pipeline, job: Job, batch: Batch, files: Files, stored: Stored, through: Ends) -> None:
    """One transaction in the ledger: cost, state, what is given up, fingerprints freed."""
    with pipeline.ledger.begin() as db:
        collected = batches.write(
            db,
            batch,
            collected_at=time.time(),
            outcomes=stored.records,
            request_outcomes=stored.requests,
            cost_usd=stored.cost_usd,
            error_message=_first_error(batch) if files.failed else batch.error_message,
        )
        if collected is None:
            return
        for send in sends.open_of_batch(db, batch.batch_id):
            sends.write(db, send, end="collected")
        given_up = {fp: end for fp, end in stored.ends.items() if end[0] in GIVEN_UP}
        fingerprints.give_up(db, job.job_id, job.task, {**given_up, **through})
        fingerprints.forget_given_up(db, stored.answered)  # by --force
        _free(db, job.job_id, stored)
        strays = {"garbled": files.garbled.count, "foreign": stored.foreign, "doubled": stored.doubled}
        told: dict[str, object] = {name: count for name, count in strays.items() if count}
        if stored.cost_usd > batch.bound_usd:
            told["dearer_than_its_bound_usd"] = round(batch.bound_usd, 6)
        events.record(
            db, "collected", job.job_id, batch.batch_id, cost_usd=round(stored.cost_usd, 6), **stored.requests, **told
        )


def _free(db: Connection, job_id: str, stored: Stored) -> None:
    """Frees what the batch held, unless others of its job are about to be collected: the last of them frees all.

    Keys lie where chance puts them: of a million, 50,000 are on every page, and to free them is to write all pages.
    """
    left, later = batches.not_collected(db, job_id)
    if left == 0:
        fingerprints.free_all(db, job_id)
    elif later:
        fingerprints.free(db, job_id, [*stored.answered, *stored.ends])


def _hand_over(pipeline: Pipeline, job: Job) -> None:
    """Gives the records that no batch of this job answers what is known elsewhere; when nothing is awaited."""
    stored: Stored | None = None
    if job.shared:
        with pipeline.ledger.read() as db:
            if jobs.get(db, job.job_id).cancel_asked_at is None and fingerprints.still_waiting(db, job.job_id):
                return
        written = written_as(pipeline, job, f"{job.job_id}-shared", -1, time.time())
        stored = pipeline.warehouse.transact(lambda connection: store_shared(connection, written))
    outcomes = stored.records if stored else {}
    with pipeline.ledger.begin() as db:
        fingerprints.give_up(db, job.job_id, job.task, stored.ends if stored else {})  # what can't be sent at all
        if jobs.set_shared(db, job.job_id, outcomes) and outcomes:
            events.record(db, "handed over", job.job_id, **outcomes)


def written_as(pipeline: Pipeline, job: Job, batch_id: str, number: int, answered_at: float) -> Written:
    """How a batch of the job is stored: by the job's own snapshot, whatever the task says by now."""
    snapshot, folder = TaskSnapshot.model_validate_json(job.snapshot), pipeline.folder(job.job_id)
    folder.fetch(folder.request_index)
    folder.fetch(folder.record_index)
    return Written(
        job_id=job.job_id,
        root_job_id=job.root_job_id,
        batch_id=batch_id,
        number=number,
        attempt=job.attempt,
        task=job.task,
        provider=job.provider,
        model=job.model,
        prompt_version=snapshot.prompt_version,
        variant=snapshot.variant,
        answer_columns=snapshot.answer_columns,
        answer_kind="embedding" if snapshot.embeds else "object" if snapshot.answer_schema else "text",
        part_columns=snapshot.part_columns,
        requests=folder.request_index,
        records=folder.record_index,
        answered_at=answered_at,
    )
