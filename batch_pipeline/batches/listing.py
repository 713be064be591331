"""Listing: the jobs page by page, narrowed by what they are, where they stand, and what was put to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import JobStatus, statuses_of
from batch_pipeline.errors import InvalidSelection
from batch_pipeline.ledger import jobs
from batch_pipeline.ledger.jobs import META, Wanted

__all__ = ["META", "MOST_META", "MOST_VALUE", "NAME", "Page", "Wanted", "check_meta", "list_jobs", "read_meta"]

NAME = r"^[A-Za-z0-9_.-]{1,64}$"
"""What metadata may be called."""
MOST_META, MOST_VALUE = 16, 512
"""Pairs, and characters of one."""
_AT_A_TIME = 200
"""Jobs that are looked at together where their states, which are stored nowhere, decide."""


@dataclass(frozen=True)
class Page:
    """Some of the jobs, and the last one that was looked at, where there may be more."""

    jobs: list[JobStatus]
    last: tuple[float, str] | None


def list_jobs(pipeline: Pipeline, wanted: Wanted, limit: int, state: str | None = None) -> Page:
    """A page of jobs, the newest first.

    Args:
        pipeline: The pipeline.
        wanted: Which ones, and after which.
        limit: How many at most.
        state: Only those that are in this state.
    """
    found: list[JobStatus] = []
    while True:
        size = limit + 1 if state is None else _AT_A_TIME
        with pipeline.ledger.read() as db:
            roots = jobs.newest_of(db, wanted, size)
        places = {job.job_id: (job.created_at, job.job_id) for job in roots}
        standing = statuses_of(pipeline, list(places))
        found += [job for job in standing if state is None or job.state == state]
        if len(found) > limit:
            last = found[limit - 1]
            return Page(found[:limit], (last.created_at, last.job_id))
        if len(roots) < size:
            return Page(found, None)
        wanted = replace(wanted, before=places[roots[-1].job_id])


def read_meta(given: Iterable[str]) -> dict[str, str]:
    """Metadata as a person writes it: `name=text`.

    Raises:
        InvalidSelection: One is not written so, or `check_meta` refuses them.
    """
    pairs: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise InvalidSelection(f"Metadata is written as name=text; `{one}` is not.")
        pairs[name] = value
    check_meta(pairs)
    return pairs


def check_meta(pairs: Mapping[str, str]) -> None:
    """Refuses metadata that can't be found again.

    Raises:
        InvalidSelection: A name, a text, or their number is beyond what is allowed.
    """
    if len(pairs) > MOST_META:
        raise InvalidSelection(f"A job may have {MOST_META} pairs of metadata; these are {len(pairs)}.")
    for name, value in pairs.items():
        if not re.fullmatch(NAME, name):
            raise InvalidSelection(f"Metadata can't be called `{name}`: up to 64 letters, digits, and _ . - can.")
        if len(value) > MOST_VALUE:
            raise InvalidSelection(f"Metadata `{name}` has {len(value):,} characters; {MOST_VALUE} are allowed.")
