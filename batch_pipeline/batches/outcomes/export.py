"""Export: answers as files, one a record; of a job, or the newest of a task."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import orjson

from batch_pipeline.batches.files import half
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.requests.custom_id import custom_id
from batch_pipeline.errors import PipelineError
from batch_pipeline.ledger import jobs
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.warehouse.answers import StoredAnswer, Which, answers_of_jobs, newest_answers


def export_answers(pipeline: Pipeline, job_id: str, folder: Path) -> int:
    """Writes each answer of a job and its attempts to `folder`, in place of a file that is there.

    A name is made of the record's id and the task's name, `acme_orbit_issue_7_product-labeling.json`; whatever an id
    holds, its file stays in the folder.

    Returns:
        How many files were written.

    Raises:
        UnknownJob: There is no job of that id.
        PipelineError: The folder can't be written.
    """
    with pipeline.ledger.read() as db:
        chain = jobs.attempts(db, jobs.get(db, job_id).root_job_id)
    fields = tuple(TaskSnapshot.model_validate_json(chain[0].snapshot).answer_columns)
    with pipeline.warehouse.read() as connection:
        found = answers_of_jobs(connection, chain[0].task, fields, [job.job_id for job in chain])
        return _write_all(((file_name(answer.record_id, answer.task), answer) for answer in found), folder)


def export_newest(pipeline: Pipeline, task: str, folder: Path, which: Which) -> int:
    """Writes the newest answers of a task to `folder`, a file a record; a variant's name is in its files' names.

    Returns:
        How many files were written.

    Raises:
        PipelineError: The folder can't be written.
    """
    with pipeline.warehouse.read() as connection:
        found = newest_answers(connection, task, which)
        return _write_all(((file_name(one.record_id, task, one.variant), one) for one in found), folder)


def write_lines(pipeline: Pipeline, task: str, file: BinaryIO, which: Which) -> int:
    """Writes the newest answers of a task as JSONL: a line is what a record's file would hold.

    Returns:
        How many lines were written.
    """
    written = 0
    with pipeline.warehouse.read() as connection:
        for answer in newest_answers(connection, task, which):
            file.write(orjson.dumps(answer.told(), option=orjson.OPT_APPEND_NEWLINE))
            written += 1
    return written


def file_name(record_id: str, task: str, variant: str | None = None) -> str:
    """The name of a record's file."""
    kind = f"{task}_{variant}" if variant else task
    return f"{custom_id(record_id)}_{kind.replace('_', '-')}.json"


def _write_all(found: Iterable[tuple[str, StoredAnswer]], folder: Path) -> int:
    written = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, answer in found:
            _write(folder / name, orjson.dumps(answer.told(), option=_PRETTY))
            written += 1
    except OSError as error:
        raise PipelineError(
            f"{folder} can't be written: {error.strerror}. The answers are in the warehouse; choose another folder."
        ) from error
    return written


def _write(final: Path, content: bytes) -> None:
    with half(final) as temporary:
        temporary.write_bytes(content)
        temporary.replace(final)


_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
