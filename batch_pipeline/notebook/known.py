"""The jobs of a batch that are there already, and whether new ones go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import UsageError
from batch_pipeline.ledger import jobs
from batch_pipeline.ledger.jobs import CANARY_FOR, Job
from batch_pipeline.notebook.grouping import Group
from batch_pipeline.notebook.store import Rows
from batch_pipeline.tasks.snapshot import TaskSnapshot

PYTHON = "python"
"""In a job's metadata: which rows of `python_items` it asks."""
_TEXTUAL = frozenset({"text", "answer", "citations"})
"""Columns of answers of text, with quotes and without; a batch may have both."""


def known_jobs(pipeline: Pipeline, name: str) -> list[Job]:
    """The jobs of a batch, the oldest first, without their canaries.

    Raises:
        UsageError: Jobs of this name are a task's.
    """
    with pipeline.ledger.read() as db:
        of_name = [job for job in reversed(jobs.newest(db)) if job.task == name and job.planned_at is not None]
    of_name = [job for job in of_name if CANARY_FOR not in job.metadata]
    if any(PYTHON not in job.metadata for job in of_name):
        raise UsageError(f"`{name}` is the name of a task, whose answers have its table; give the batch another.")
    return of_name


def must_fit(name: str, groups: Sequence[Group], known: Sequence[Job]) -> None:
    """A table is widened, and never gets the answers of another model.

    Raises:
        UsageError: It would.
    """
    from batch_pipeline.tasks.registry import load_tasks

    if name in load_tasks().by_name:
        raise UsageError(f"`{name}` is the name of a task, whose answers have its table; give the batch another.")
    there: dict[str, str] = {}
    for job in known:
        there |= TaskSnapshot.model_validate_json(job.snapshot).answer_columns
    for group in groups:
        mine = group.task.answer_columns
        if there.keys() | mine.keys() <= _TEXTUAL:
            continue
        if any(mine.get(column) != kind for column, kind in there.items()):
            raise UsageError(
                f"Batch `{name}` has answers of another model: its table has the columns {_columns(there)}, and the "
                f"answer now has {_columns(mine)}. Give this batch another name, or keep those fields."
            )


def _columns(columns: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}` ({kind})" for name, kind in columns.items())


def rows_of(job: Job) -> Rows:
    """The rows that a job asks."""
    told = cast("dict[str, object]", job.metadata[PYTHON])
    return Rows(str(told["envelope"]), cast(int, told["first"]), cast(int, told["last"]))


def told_of(rows: Rows) -> dict[str, object]:
    """As a job's metadata has them."""
    return {"envelope": rows.envelope, "first": rows.first, "last": rows.last}


def asked_up_to(group: Group, known: Sequence[Job]) -> int:
    """The position of the last row of a group that a job asks; 0 where there is none."""
    of_jobs = (rows_of(job) for job in known)
    return max((rows.last for rows in of_jobs if rows.envelope == group.envelope), default=0)
