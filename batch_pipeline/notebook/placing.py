"""From items to jobs: those that want the same are one, and only what was never asked makes a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from filelock import FileLock

from batch_pipeline.batches.files import make_folder
from batch_pipeline.batches.money.admission import MOST_IN_FLIGHT, set_budget
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing.status import FINAL, status
from batch_pipeline.errors import UsageError
from batch_pipeline.ledger import jobs
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.notebook import store
from batch_pipeline.notebook.grouping import Group, Plan, groups_of
from batch_pipeline.notebook.items import Item
from batch_pipeline.notebook.known import PYTHON, asked_up_to, known_jobs, must_fit, rows_of, told_of
from batch_pipeline.notebook.store import Asked, Rows

TIME_LIMIT, LIMITED_SINCE = "time_limit_seconds", "time_limit_since"
"""In a job's metadata: how long its run may take, and since when, if that is not since it was made."""


@dataclass(frozen=True)
class Placed:
    """The items of a run in their order, and the jobs that ask them."""

    asked: Sequence[Asked]
    jobs: Sequence[Job]


def place(pipeline: Pipeline, wanted: Plan, items: Sequence[Item]) -> Placed:
    """Keeps the items, and plans those that were never asked; sends nothing.

    Raises:
        PipelineError: As `plan`; the name is a task's, or has answers of another model.
    """
    pipeline.must_be_enabled()
    groups = groups_of(pipeline, wanted, items)
    make_folder(pipeline.data_dir)
    with FileLock(pipeline.data_dir / f".python-{wanted.name}.lock", mode=0o600):
        known = known_jobs(pipeline, wanted.name)
        must_fit(wanted.name, groups, known)
        asked = _kept(pipeline, wanted.name, groups)
        new = [job for group in groups if (job := _planned(pipeline, wanted, group, known, len(groups)))]
        placed = Placed(_in_order(items, asked), _of_asked([*known, *new], asked))
        if wanted.budget_usd is not None:
            _share(pipeline, wanted.budget_usd, [*canaries(pipeline, placed.jobs), *placed.jobs])
        if wanted.time_limit is not None:
            _limit(pipeline, wanted.time_limit, placed.jobs)
    return placed


def found(pipeline: Pipeline, name: str) -> Placed:
    """What was submitted under a name.

    Raises:
        UsageError: Nothing was.
    """
    known = known_jobs(pipeline, name)
    if not known:
        with pipeline.ledger.read() as db:
            names = sorted({job.task for job in jobs.newest(db) if PYTHON in job.metadata})
        raise UsageError(f"No batch `{name}` was submitted. There are: {', '.join(names) or 'none'}.")
    with pipeline.warehouse.read() as connection:
        asked = store.all_asked(connection, name)
    of_jobs = [each for each in asked if any(rows_of(job).holds(each) for job in known)]
    return Placed(of_jobs, _of_asked(known, of_jobs))


def canaries(pipeline: Pipeline, of_run: Sequence[Job]) -> list[Job]:
    """The jobs over first items that go before these."""
    with pipeline.ledger.read() as db:
        return [jobs.get(db, job.canary) for job in of_run if job.canary]


def _limit(pipeline: Pipeline, seconds: float, of_run: Sequence[Job]) -> None:
    """Kept with the jobs: whoever resumes the run keeps to it."""
    with pipeline.ledger.begin() as db:
        for job in of_run:
            if job.metadata.get(TIME_LIMIT) != seconds:
                jobs.note(db, job.job_id, {TIME_LIMIT: seconds})


def _kept(pipeline: Pipeline, name: str, groups: Sequence[Group]) -> list[Asked]:
    with pipeline.warehouse.write() as connection:
        for group in groups:
            store.add_items(connection, name, group.envelope, group.items)
        return [
            asked
            for group in groups
            for asked in store.asked_of(connection, name, group.envelope, [item.record_id for item in group.items])
        ]


def _planned(pipeline: Pipeline, wanted: Plan, group: Group, known: Sequence[Job], groups: int) -> Job | None:
    """A job for the rows that no job asks yet; None where there are none, or nothing is to do for them."""
    with pipeline.warehouse.read() as connection:
        last = store.last_position(connection, wanted.name, group.envelope)
        rows = Rows(group.envelope, asked_up_to(group, known) + 1, last)
        if rows.first > rows.last:
            return None
        key = f"{PYTHON}|{group.envelope}|{rows.first}|{store.digest(connection, wanted.name, rows)}"
    metadata: dict[str, object] = {"origin": PYTHON, **_user(), PYTHON: told_of(rows)}
    if wanted.budget_usd is not None:
        metadata["budget_usd"] = wanted.budget_usd if groups == 1 and not known else 0.0  # nothing goes before `_share`
    if wanted.max_batches_in_flight is not None:
        metadata[MOST_IN_FLIGHT] = wanted.max_batches_in_flight
    task = replace(group.task, records=store.records_sql(wanted.name, rows))
    order = Order(task, Selection(which="all"), key=key, mode=wanted.mode, canary=wanted.canary, metadata=metadata)
    job = plan(pipeline, order)
    return job if job.records else None


def _user() -> dict[str, object]:
    from getpass import getuser

    try:
        return {"user": getuser()}
    except (KeyError, OSError):  # a container's user may have no name
        return {}


def _of_asked(known: Sequence[Job], asked: Sequence[Asked]) -> list[Job]:
    """The jobs that ask any of these."""
    by_envelope: dict[str, list[int]] = {}
    for each in asked:
        by_envelope.setdefault(each.envelope, []).append(each.position)
    return [
        job
        for job in known
        if any(rows_of(job).first <= at <= rows_of(job).last for at in by_envelope.get(rows_of(job).envelope, ()))
    ]


def _in_order(items: Sequence[Item], asked: Sequence[Asked]) -> list[Asked]:
    by_id = {each.record_id: each for each in asked}
    return [by_id[item.record_id] for item in items]


def _share(pipeline: Pipeline, budget_usd: float, of_run: Sequence[Job]) -> None:
    """Gives each job its share of the budget, by what it may cost at worst; what is through has spent its own."""
    standing = {job.job_id: status(pipeline, job.job_id) for job in of_run}
    still_open = [job for job in of_run if standing[job.job_id].state not in FINAL]
    spent = sum(now.cost_usd for now in standing.values() if now.state in FINAL)
    left, bound = max(0.0, budget_usd - spent), sum(job.bound_usd for job in still_open)
    for job in still_open:
        mine = left * (job.bound_usd / bound if bound else 1.0)
        if job.metadata.get("budget_usd") != mine:
            set_budget(pipeline, job.job_id, mine)
