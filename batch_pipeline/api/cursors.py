"""Cursors: where a page ends and the next one begins. A client hands them back as they came."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

JOBS = r"^[0-9]{1,12}(\.[0-9]{1,9})?~[A-Za-z0-9_-]{1,200}$"

JobsCursor = Annotated[
    str | None, Query(pattern=JOBS, description="`next_cursor` of the page before.", examples=["1795315200.5~a-job"])
]
RecordsCursor = Annotated[str | None, Query(max_length=1_000, description="`next_cursor` of the page before.")]


def of_job(last: tuple[float, str] | None) -> str | None:
    """The cursor after this job: when it was created, and its id."""
    return None if last is None else f"{last[0]!r}~{last[1]}"


def read_job(cursor: str | None) -> tuple[float, str] | None:
    """The job that a cursor stands after."""
    if cursor is None:
        return None
    at, _, job_id = cursor.partition("~")
    return float(at), job_id
