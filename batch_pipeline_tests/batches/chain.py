"""A small task over records of one's own, and the chain run to its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing.status import JobStatus, status
from batch_pipeline.batches.turn import submit_job, take_turn
from batch_pipeline.ledger import batches, sends
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.ledger.sends import Send
from batch_pipeline.tasks import BatchTask


class Mood(BaseModel):
    """How a note sounds."""

    label: Literal["glad", "sad"]


mood = BatchTask(
    name="mood",
    records="FROM notes",
    system="Is the note glad or sad?",
    prompt="{text}",
    answer=Mood,
    max_output_tokens=20,
    partitions=None,
)


def write_notes(pipeline: Pipeline, notes: Mapping[str, str] | int) -> None:
    """Puts notes into the warehouse, in place of those that are there: text by record id, or so many."""
    texts = {f"note-{n}": f"the note of number {n}" for n in range(notes)} if isinstance(notes, int) else notes
    with pipeline.warehouse.write() as connection:
        connection.execute("CREATE OR REPLACE TABLE notes (record_id VARCHAR, text VARCHAR)")
        rows = [list(row) for row in texts.items()]
        if rows:
            connection.executemany("INSERT INTO notes VALUES (?, ?)", rows)


def planned(pipeline: Pipeline, task: BatchTask = mood, selection: Selection | None = None, **order: object) -> Job:
    """A planned job."""
    return plan(pipeline, Order(task, selection or Selection(), **order))  # pyright: ignore[reportArgumentType] - fields of Order


def run(pipeline: Pipeline, job: Job, turns: int = 400) -> JobStatus:
    """Takes turns until the job is through; the server answers at once, so few are needed."""
    submit_job(pipeline, job.job_id)
    for _ in range(turns):
        take_turn(pipeline, job.job_id)
        if (now := status(pipeline, job.job_id)).final:
            return now
    raise AssertionError(f"not through after {turns} turns: {status(pipeline, job.job_id)}")


def answers(pipeline: Pipeline, task: BatchTask = mood) -> dict[str, str]:
    """The answers in the task's table: label by record id."""
    with pipeline.warehouse.read() as connection:
        rows = connection.execute(f"SELECT record_id, label FROM {task.name}_latest").fetchall()
    return dict(rows)


def query(pipeline: Pipeline, sql: str) -> list[tuple[object, ...]]:
    """Rows of the warehouse."""
    with pipeline.warehouse.read() as connection:
        return connection.execute(sql).fetchall()


def batches_of(pipeline: Pipeline, job: Job) -> list[Batch]:
    """The job's batches, as the ledger has them."""
    with pipeline.ledger.read() as db:
        return batches.of_job(db, job.job_id)


def sends_of(pipeline: Pipeline, job: Job) -> list[Send]:
    """All attempts to create the job's batches."""
    with pipeline.ledger.read() as db:
        return [send for batch in batches.of_job(db, job.job_id) for send in sends.of_batch(db, batch.batch_id)]


def accounted(pipeline: Pipeline, jobs: Iterable[Job]) -> None:
    """Every record of these jobs has exactly one result."""
    for job in jobs:
        rows = query(
            pipeline,
            f"SELECT count(*), count(DISTINCT record_id) FROM batch_items WHERE job_id = '{job.job_id}'",
        )
        assert rows == [(job.records, job.records)]
