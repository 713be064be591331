"""The versions of a task's prompt: which there were, how many answers each has, and what changed.

A version is known by the jobs that asked in it: each keeps what was asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff

from sqlalchemy import func, select

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import UsageError
from batch_pipeline.ledger.tables import jobs
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.tasks.task import BatchTask
from batch_pipeline.warehouse.answers import answers_by_version


@dataclass(frozen=True)
class Version:
    """What was asked, once or still. `answers` are records whose newest answer is of this version.

    `jobs` counts jobs without their attempts, `first_at` and `last_at` are when they were made (unix seconds); `text`
    is what was asked, to be compared; empty where no job is left that tells.
    """

    version: str
    variant: str | None
    current: bool = False
    answers: int = 0
    jobs: int = 0
    first_at: float | None = None
    last_at: float | None = None
    text: str = ""


def versions(pipeline: Pipeline, task: BatchTask) -> list[Version]:
    """All versions of a task, each variant's newest first; the current ones are among them, asked or not.

    Raises:
        WarehouseBusy: Another process holds the warehouse for longer than we wait.
    """
    found = {(each.version, each.variant): each for each in _current(task)}
    for asked in _asked(pipeline, task.name):
        key = asked.version, asked.variant
        known = found.get(key)
        found[key] = asked if known is None else _both(known, asked)
    with pipeline.warehouse.read() as connection:
        counted = answers_by_version(connection, task.name)
    for key, answers in counted.items():
        found[key] = replace(found.get(key) or Version(*key), answers=answers)
    return sorted(found.values(), key=_place)


def changes(known: Sequence[Version], version: str) -> list[str]:
    """What changed from a version to the current one of its variant: lines of a unified diff; none, if it is that.

    Args:
        known: The task's versions.
        version: Of one of them, or its first characters.

    Raises:
        UsageError: There is none, or several, or no job is left that tells what it was.
    """
    meant = [each for each in known if each.version.startswith(version)]
    if len({each.version for each in meant}) != 1:
        there = ", ".join(dict.fromkeys(each.version for each in known))
        raise UsageError(f"{'No' if not meant else 'More than one'} version is `{version}`; there are: {there}.")
    old = meant[0]
    if not old.text:
        raise UsageError(f"What was asked in version `{old.version}` is not known: none of its jobs is in the ledger.")
    new = next((each for each in known if each.current and each.variant == old.variant), None)
    if new is None:
        raise UsageError(f"The task no longer has the variant `{old.variant}`, so there is nothing to compare with.")
    lines = unified_diff(old.text.splitlines(), new.text.splitlines(), old.version, f"{new.version} (current)", n=2)
    return [line.rstrip("\n") for line in lines]


def _current(task: BatchTask) -> list[Version]:
    variants = dict.fromkeys([*task.asked_as, *task.variants])
    return [
        Version(task.prompt_version(variant), variant, current=True, text=_text(task.snapshot("local", "", variant)))
        for variant in variants
    ]


def _asked(pipeline: Pipeline, task: str) -> list[Version]:
    """The versions that jobs were made in; a night's jobs have the same snapshot, which is read once."""
    made = func.count(), func.min(jobs.c.created_at), func.max(jobs.c.created_at)
    rows = select(jobs.c.snapshot, *made).where(jobs.c.task == task, jobs.c.attempt == 1).group_by(jobs.c.snapshot)
    found: dict[tuple[str, str | None], Version] = {}
    with pipeline.ledger.read() as db:
        for text, count, first_at, last_at in db.execute(rows):
            asked = TaskSnapshot.model_validate_json(text)
            key = asked.prompt_version, asked.variant
            one = Version(*key, jobs=count, first_at=first_at, last_at=last_at, text=_text(asked))
            found[key] = _both(found[key], one) if key in found else one
    return list(found.values())


def _both(one: Version, other: Version) -> Version:
    times = [at for at in (one.first_at, one.last_at, other.first_at, other.last_at) if at is not None]
    return replace(
        one,
        jobs=one.jobs + other.jobs,
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        text=one.text or other.text,
    )


def _place(version: Version) -> tuple[str, bool, float]:
    return version.variant or "", not version.current, -(version.last_at or 0.0)


def _text(asked: TaskSnapshot) -> str:
    """What was asked, for a person to compare: what a version is made of, and nothing else."""
    parts = {
        "endpoint": asked.endpoint,
        "instructions": asked.system,
        "prompt": asked.prompt or "(not kept by the jobs of that time)",
        "characters of a column": _json(asked.truncate_at),
        "parameters": _json(asked.parameters),
        "answer": _json(asked.answer_schema) if asked.answer_schema is not None else _json(asked.answer_columns),
    }
    return "\n\n".join(f"[{name}]\n{text}" for name, text in parts.items())


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
