"""Notes with gold answers, evaluated to the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import JobStatus
from batch_pipeline.batches.turn import wait_for
from batch_pipeline.evaluation.gold import read_gold
from batch_pipeline.evaluation.run import Evaluation, Judged, Matched, begin, finish, match
from batch_pipeline.tasks import BatchTask
from batch_pipeline_tests.batches.chain import mood

Gold = Mapping[str, object]


def glad(count: int) -> dict[str, str]:
    """Gold answers: every note is glad."""
    return {f"note-{n}": "glad" for n in range(count)}


def matched(
    pipeline: Pipeline, gold: Gold, task: BatchTask = mood, *, limit: int | None = None, **more: object
) -> Matched:
    """The rows of an evaluation, the gold answers read from a file."""
    path = Path(pipeline.settings.data_dir) / "gold.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"record_id": name, **(label if isinstance(label, dict) else {"label": label})} for name, label in gold.items()
    ]
    path.write_text(json.dumps(rows))
    return match(pipeline, Evaluation(task, read_gold(path, task), limit, **more))  # pyright: ignore[reportArgumentType] - fields of Evaluation


def through(pipeline: Pipeline, now: JobStatus | None, poll_seconds: float = 0.01) -> JobStatus | None:
    """Waits until a job is done."""
    return wait_for(pipeline, now.job_id, poll_seconds) if now else None


def evaluated(pipeline: Pipeline, gold: Gold, task: BatchTask = mood, **more: object) -> Judged:
    """An evaluation of one field, to its score."""
    found = matched(pipeline, gold, task, **more)  # pyright: ignore[reportArgumentType]
    now = through(pipeline, begin(pipeline, found))
    (judged,) = finish(pipeline, found, now.job_id if now else None)
    return judged
