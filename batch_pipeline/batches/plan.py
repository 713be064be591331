"""Plan: which requests a job sends, for which records, in which files.

Each fingerprint is taken in the ledger first, and only then is it looked up whether it was answered: any other order
buys twice (docs/how-it-works.md). What is answered, given up or in flight elsewhere is dropped, identical requests
are one, and what remains is written to files within the provider's limits.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from filelock import FileLock

from batch_pipeline.batches import canary
from batch_pipeline.batches.files import JobFolder
from batch_pipeline.batches.money.admission import file_tokens
from batch_pipeline.batches.money.estimates import Estimate, Estimator
from batch_pipeline.batches.money.prices import Price
from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.batches.recover import foreign_markers, recover
from batch_pipeline.batches.requests import asking
from batch_pipeline.batches.requests.candidates import Chunk
from batch_pipeline.batches.requests.counting import counting
from batch_pipeline.batches.requests.garbage import no_cycles
from batch_pipeline.batches.requests.planner import Planner
from batch_pipeline.batches.requests.request_files import FilePlan, Limits, RequestFiles
from batch_pipeline.batches.requests.select import connection_for, prepare
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.errors import MissingKey, PlanSuperseded, UsageError
from batch_pipeline.ledger import batches, events, jobs
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.jobs import MODE, Job
from batch_pipeline.providers.limits import BATCH_LIMITS, FLEX
from batch_pipeline.settings import Mode, ProviderName
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.tasks.task import BatchTask
from batch_pipeline.warehouse.cursors import second_cursor
from batch_pipeline.warehouse.without_pandas import without_pandas

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Order:
    """What is asked for: a task, of which records, by whom.

    `key` is the caller's: a call that is repeated with it finds its job. `force` buys again what was bought. So many
    records as `canary` says go first, as a job of their own.
    """

    task: BatchTask
    selection: Selection = field(default_factory=Selection)
    provider: ProviderName | None = None
    model: str | None = None
    key: str | None = None
    partition_key: str | None = None
    force: bool = False
    mode: Mode = "batch"
    canary: int | None = None
    job_type: str = "task"
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def wanted(self) -> Selection:
        """The selection; all of it where what was bought is bought again."""
        return replace(self.selection, which="all") if self.force else self.selection


@without_pandas()
def plan(pipeline: Pipeline, order: Order, sql_seconds: float | None = None) -> Job:
    """Plans the order, or finds the job that it was planned as; its canary is planned before it.

    Args:
        pipeline: The pipeline.
        order: What is asked for.
        sql_seconds: The longest that its SQL may run.

    Returns:
        The job. One without records is not kept, unless it was kept as an order before: nothing was to do.

    Raises:
        Disabled: Nothing is to be planned.
        InvalidTask: The task's SQL, columns or variant are wrong.
        InvalidSelection: The selection names a column that the records have not.
        UnpricedModel: No price is known for the model.
    """
    pipeline.must_be_enabled()
    snapshot = snapshot_of(pipeline, order)
    order = order if order.key else replace(order, key=secrets.token_hex(8))
    wanted = _after_canary(pipeline, order, _as_kept(pipeline, job_of(order, snapshot)), sql_seconds)
    with planning(pipeline, wanted) as job:
        if job.planned_at is not None:
            return job
        with connection_for(pipeline.warehouse, order.selection) as connection, second_cursor(connection) as lookups:
            prepared = prepare(connection, order.task, order.wanted, sql_seconds)
            counter = TokenCounter(pipeline.prices.price(snapshot.provider, snapshot.model).model)
            with counting(counter, prepared.count) as counts:
                chunks = asking.selected(connection, order.task, snapshot, prepared, counts)
                with closing(chunks):
                    return write_plan(pipeline, job, chunks, lookups, force=order.force, selected=prepared.count)


def _as_kept(pipeline: Pipeline, job: Job) -> Job:
    """The job, under the id that it was kept under to be planned now, if it was."""
    with pipeline.ledger.read() as db:
        kept = jobs.find(db, job.key)
    if kept is None or not kept.to_be_planned:
        return job
    metadata = {**kept.metadata, **job.metadata}
    return replace(job, job_id=kept.job_id, root_job_id=kept.job_id, created_at=kept.created_at, metadata=metadata)


def _after_canary(pipeline: Pipeline, order: Order, job: Job, sql_seconds: float | None) -> Job:
    """The job, and what it is to wait for: a canary that is planned first, unless the job is known already."""
    if not order.canary:
        return job
    with pipeline.ledger.read() as db:
        known = jobs.find(db, job.key)
    if known is not None and known.planned_at is not None:
        return known
    first = plan(pipeline, canary.canary_order(order, order.canary, job), sql_seconds)
    return canary.after(job, first, order.task.min_answered)


def snapshot_of(pipeline: Pipeline, order: Order) -> TaskSnapshot:
    """The order's task as its job would keep it: the provider and the model are those that would be asked.

    Raises:
        UsageError: The provider does not answer in that mode.
        InvalidTask: The task has no such variant.
        UnpricedModel: No price is known for the model: it is refused before anything is written.
    """
    provider = order.provider or order.task.provider or pipeline.settings.provider
    model = pipeline.settings.model_for(provider, order.model or order.task.model, embeds=order.task.embeds)
    if order.mode == "flex" and (provider not in FLEX or order.task.embeds):
        raise UsageError(f"`{provider}` has no flex processing for task `{order.task.name}`: leave --flex away.")
    pipeline.prices.tariff(provider, model, order.mode)
    return order.task.snapshot(provider, model, order.selection.variant).model_copy(
        update={"mode": order.mode, "bare_url": provider == "openai" and pipeline.settings.names_bare_urls}
    )


@contextmanager
def planning(pipeline: Pipeline, wanted: Job) -> Generator[Job]:
    """The right to plan a job; one that has been planned comes as it is.

    One process plans at a time (the locks are let go when it dies), and only the commit of the last one counts. What
    goes wrong before that leaves nothing behind. A ledger that is behind learns first what was sent: it would be
    planned again.
    """
    recover(pipeline)
    with pipeline.ledger.begin() as db:
        job = jobs.open_job(db, wanted)
    folder = pipeline.folder(job.job_id)
    with _locked(folder), pipeline.ledger.to_itself(_plan_of(job)):
        with pipeline.ledger.begin() as db:
            job = jobs.open_job(db, job)
            if job.to_be_planned:
                job = jobs.plan_as(db, job, wanted)
            if job.planned_at is None:
                job = jobs.begin_plan(db, job, secrets.token_hex(8))
        if job.planned_at is not None:
            yield job
            return
        folder.clear_unplanned()
        try:
            yield job
        except Exception:
            _discard(pipeline, job)
            raise


def _plan_of(job: Job) -> str:
    return f"plan of {job.job_id}"


@contextmanager
def _locked(folder: JobFolder) -> Generator[None]:
    lock = FileLock(folder.lock, mode=0o600)
    while not lock.is_locked:
        folder.make()
        with suppress(FileNotFoundError):  # `abandon_dead_plans` took the plan for a dead one, and removed the folder
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@without_pandas()
def write_plan(
    pipeline: Pipeline,
    job: Job,
    chunks: Iterable[Chunk],
    connection: DuckDBPyConnection,
    *,
    selected: int,
    force: bool = False,
) -> Job:
    """Takes fingerprints, writes files, and commits the plan; a job without records is not kept."""
    snapshot = TaskSnapshot.model_validate_json(job.snapshot)
    price = pipeline.prices.price(snapshot.provider, snapshot.model, snapshot.mode)
    counter = TokenCounter(price.model)
    limits = limits_of(pipeline, snapshot)
    folder = pipeline.folder(job.job_id)

    with no_cycles(), RequestFiles(folder, limits, lambda: estimator_for(snapshot, price, counter)) as files:
        planner = Planner(pipeline, job, connection, limits, force=force)
        with closing(planner.decide(chunks)) as decisions:
            for decided in decisions:
                files.add(decided.requests(), decided.records, decided.waiting)
        if not planner.tally.records:
            return _nothing_to_do(pipeline, planner.tally.on(job, selected))
        written = files.commit()
        reach("plan.file_renamed")
        planned, rows = _planned(planner.tally.on(job, selected), written)
        folder.write_plan(json.dumps({"job": asdict(planned), "batches": [asdict(r) for r in rows]}).encode())
        _commit(pipeline, planned, rows)
    reach("plan.ledger_committed")
    return planned


def limits_of(pipeline: Pipeline, snapshot: TaskSnapshot) -> Limits:
    """What one file may hold: the provider's limits, or lower ones by setting, and a share of its token queue."""
    try:
        account = pipeline.provider(snapshot.provider).account
    except MissingKey:  # planning needs no key; what was learned for one can't be known without it
        account = ""
    with pipeline.ledger.read() as db:
        tokens = file_tokens(db, pipeline.settings, account, snapshot.model)
    most, settings = BATCH_LIMITS[snapshot.provider], pipeline.settings
    return Limits(
        min(settings.max_requests or most.requests, most.requests),
        min(settings.max_file_bytes or most.bytes, most.bytes),
        tokens,
    )


def estimator_for(snapshot: TaskSnapshot, price: Price, counter: TokenCounter) -> Estimator:
    """What a file is estimated with; an embedding has neither an answer's length nor a frame around its text."""
    headroom = 0 if snapshot.embeds else None
    return Estimator(price, snapshot.max_output_tokens, exact=counter.exact, headroom=headroom)


def abandon_dead_plans(pipeline: Pipeline) -> None:
    """Frees what processes held that died while they planned; nothing of theirs was sent."""
    recover(pipeline)  # first: a ledger that is behind takes for a dead plan what was sent
    with pipeline.ledger.read() as db:
        begun = [job for job in jobs.unplanned(db) if job.planner is not None or not job.to_be_planned]
    for job in begun:
        lock = FileLock(pipeline.folder(job.job_id).lock, mode=0o600, blocking=False)
        with _if_free(lock) as free, pipeline.ledger.to_itself(_plan_of(job), wait=False) as alone:
            if free and alone:
                _discard(pipeline, job)


@contextmanager
def _if_free(lock: FileLock) -> Generator[bool]:
    from filelock import Timeout

    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _nothing_to_do(pipeline: Pipeline, job: Job) -> Job:
    """A job without records is not kept; but who was told its id finds it, and that it is through."""
    if not job.to_be_planned:
        _discard(pipeline, job)
        return job
    with pipeline.ledger.begin() as db:
        closed = jobs.close_unplanned(db, job)
        if closed:
            events.record(db, "planned", job.job_id, records=0)
    if closed:
        pipeline.folder(job.job_id).remove()
    return job


def _discard(pipeline: Pipeline, job: Job) -> None:
    with pipeline.ledger.begin() as db:
        discarded = jobs.discard(db, job)
    if discarded:
        pipeline.folder(job.job_id).remove()


def _planned(job: Job, files: list[FilePlan]) -> tuple[Job, list[Batch]]:
    total = sum((file.estimate for file in files), Estimate())
    rows = [_batch(job, file) for file in files]
    planned = replace(
        job,
        planned_at=time.time(),
        requests=total.requests,
        input_tokens=total.input_tokens,
        estimate_usd=total.estimate_usd,
        bound_usd=total.bound_usd,
    )
    return planned, rows


def _batch(job: Job, file: FilePlan) -> Batch:
    return Batch(
        batch_id=f"{job.job_id}-{file.number:04d}",
        job_id=job.job_id,
        number=file.number,
        sha256=file.sha256,
        bytes=file.bytes,
        requests=file.estimate.requests,
        records=file.records,
        input_tokens=file.estimate.input_tokens,
        estimate_usd=file.estimate.estimate_usd,
        bound_usd=file.estimate.bound_usd,
    )


def _commit(pipeline: Pipeline, planned: Job, rows: list[Batch]) -> None:
    with pipeline.ledger.begin() as db:
        if foreign_markers(pipeline, db):
            raise PlanSuperseded("Meanwhile something was sent from another ledger: nothing is planned. Run it again.")
        jobs.commit_plan(db, planned)
        batches.add(db, rows)
        events.record(
            db,
            "planned",
            planned.job_id,
            records=planned.records,
            requests=planned.requests,
            batches=len(rows),
            estimate_usd=round(planned.estimate_usd, 6),
        )


def job_of(order: Order, snapshot: TaskSnapshot) -> Job:
    """The job that an order would be, under the key by which a repeated call finds it."""
    job_id = f"{order.task.name}-{time.strftime('%y%m%d', time.gmtime())}-{secrets.token_hex(3)}"
    told = order.selection.told()
    scope = order.partition_key or hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    caller = order.key or secrets.token_hex(8)
    parts = [order.task.name, snapshot.provider, snapshot.model, snapshot.variant or "", scope, caller]
    mode = [] if order.mode == "batch" else [order.mode]
    return Job(
        job_id=job_id,
        key="|".join([*parts, *mode]),
        root_job_id=job_id,
        task=order.task.name,
        provider=snapshot.provider,
        model=snapshot.model,
        snapshot=snapshot.model_dump_json(),
        job_type="embedding" if order.task.embeds and order.job_type == "task" else order.job_type,
        partition_key=order.partition_key,
        selection=told | ({"force": True} if order.force else {}),
        created_at=time.time(),
        metadata=dict(order.metadata) | ({MODE: order.mode} if mode else {}),
    )
