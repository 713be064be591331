"""Export: the answers of a job as files, one a record."""

from __future__ import annotations

from pathlib import Path

import orjson

from batch_pipeline.batches.custom_id import custom_id
from batch_pipeline.batches.files import half
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import PipelineError
from batch_pipeline.ledger import jobs
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.warehouse.answers import answers_of_jobs


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
    written = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with pipeline.warehouse.read() as connection:
            for answer in answers_of_jobs(connection, chain[0].task, fields, [job.job_id for job in chain]):
                _write(folder / file_name(answer.record_id, chain[0].task), orjson.dumps(answer.told(), option=_PRETTY))
                written += 1
    except OSError as error:
        raise PipelineError(
            f"{folder} can't be written: {error.strerror}. The answers are in the warehouse; choose another folder."
        ) from error
    return written


def file_name(record_id: str, task: str) -> str:
    """The name of a record's file."""
    return f"{custom_id(record_id)}_{task.replace('_', '-')}.json"


def _write(final: Path, content: bytes) -> None:
    with half(final) as temporary:
        temporary.write_bytes(content)
        temporary.replace(final)


_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
