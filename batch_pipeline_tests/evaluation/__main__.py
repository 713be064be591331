"""`python -m batch_pipeline_tests.evaluation`: real issues, the small model, scores by hand; 1 if they differ."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import sklearn.metrics

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.evaluation.gold import read_gold
from batch_pipeline.evaluation.run import Evaluation, begin, finish, match
from batch_pipeline.evaluation.store import Score
from batch_pipeline.local_server import LocalServerOptions, start
from batch_pipeline.settings import Settings
from batch_pipeline.sources.files import load_issues
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.evaluation.notes import through
from batch_pipeline_tests.evaluation.test_run import LABELS_BY_HAND, NLBSE
from batch_pipeline_tests.project import NIGHT


def main() -> int:
    """Evaluates `issue_kind`, and scores the rows of its table by hand."""
    parser = argparse.ArgumentParser(prog="python -m batch_pipeline_tests.evaluation", description=__doc__)
    parser.add_argument("--issues", type=Path, default=NLBSE, help="CSV of issues with a column `label`.")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--engine", choices=["smollm2", "simulated"], default="smollm2")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options = LocalServerOptions(
            engine=given.engine, port=0, state_dir=Path(folder, "server"), threads=given.threads
        )
        with start(options) as server:
            pipeline = Pipeline(Settings(local_url=server.url, data_dir=Path(folder, "data")))
            try:
                score, wanted, answered = _evaluated(pipeline, given.issues, given.limit)
            finally:
                pipeline.close()
    return int(not _same(score, wanted, answered))


def _evaluated(pipeline: Pipeline, issues: Path, limit: int) -> tuple[Score, list[str], list[str]]:
    load_issues(pipeline.warehouse, [str(issues)], NIGHT)
    task = load_tasks().get("issue_kind")
    found = match(pipeline, Evaluation(task, read_gold(issues, task), limit))
    now = through(pipeline, begin(pipeline, found), poll_seconds=1.0)
    (judged,) = finish(pipeline, found, now and now.job_id)
    with pipeline.warehouse.read() as connection:
        rows = connection.execute(LABELS_BY_HAND).fetchall()
    return judged.score, [row[0] for row in rows], [row[1] for row in rows]


def _same(score: Score, wanted: list[str], answered: list[str]) -> bool:
    metrics = cast(Any, sklearn.metrics)
    accuracy = metrics.accuracy_score(wanted, answered)
    macro_f1 = metrics.f1_score(wanted, answered, average="macro", zero_division=0)
    matrix = metrics.confusion_matrix(wanted, answered).tolist()
    report = metrics.classification_report(wanted, answered, digits=3, zero_division=0)
    sys.stdout.write(f"{score.setup.told}: {score.answered} of {score.rows} rows answered\n")
    sys.stdout.write(f"accuracy  {score.accuracy:.4f}  by hand {accuracy:.4f}\n")
    sys.stdout.write(f"macro F1  {score.macro_f1:.4f}  by hand {macro_f1:.4f}\n{report}{matrix}\n")
    close = abs(score.accuracy - accuracy) < 1e-12 and abs(score.macro_f1 - macro_f1) < 1e-12
    return close and score.confusion["matrix"] == matrix


if __name__ == "__main__":
    sys.exit(main())
