"""What the demo prints in the end: labels, neighbours among embeddings, scores, and what it all cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.cli.evaluation_output import say_score
from batch_pipeline.cli.output import Column, plural, print_json, print_table, say, usd

if TYPE_CHECKING:
    from batch_pipeline.batches.money.estimates import Comparison
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.standing.status import JobStatus
    from batch_pipeline.evaluation.run import Judged
    from batch_pipeline.warehouse.neighbours import Neighbour

LABELS, EMBEDDINGS = "issue_kind", "issue_embeddings"

SHOWN = 10
"""Answers that a person is shown; `query` has them all."""
EVALUATED = 12
"""Issues whose labels are compared with gold ones."""
LIKE_WHICH = "quillhaven/ferrywright#1212"
"""The issue whose neighbours are shown: one of the others is about the same fault."""


def report(pipeline: Pipeline, jobs: Sequence[JobStatus], began: float, *, as_json: bool) -> None:
    """Prints what the demo's jobs came to.

    Args:
        pipeline: The demo's own.
        jobs: All that it ever ran.
        began: When it was called (unix seconds).
        as_json: For a machine.
    """
    sent = sum(job.requests for job in jobs if job.created_at >= began)
    answers, near, judged, cost = _answers(pipeline), _neighbours(pipeline), _judge(pipeline), _cost(pipeline, jobs)
    seconds = time.time() - began
    if as_json:
        told = {"answers": [asdict(answer) for answer in answers], "requests_sent": sent, "seconds": round(seconds, 1)}
        more = {"neighbours": [asdict(each) for each in near], "scores": [asdict(judged.score)] if judged else []}
        print_json({**told, **more, "cost": asdict(cost), "saved_usd": cost.saved_usd})
        return
    _say_answers(answers)
    _say_neighbours(near)
    if judged:
        say_score(judged.score)
    say()
    if not sent:
        say("No request was sent: every answer had been there before.")
    _say_cost(pipeline, cost, seconds)


def answered(pipeline: Pipeline, task: str) -> int:
    """Records that the task has answered."""
    from batch_pipeline.warehouse.answers import type_of_column

    with pipeline.warehouse.read() as connection:
        if type_of_column(connection, task, "record_id") is None:
            return 0
        rows = connection.execute(f"SELECT count(*) FROM {task}_latest").fetchall()  # noqa: S608 - a name of ours
        return int(rows[0][0])


@dataclass(frozen=True)
class _Answer:
    record_id: str
    title: str
    label: str


def _answers(pipeline: Pipeline) -> list[_Answer]:
    if not answered(pipeline, LABELS):
        return []
    with pipeline.warehouse.read() as connection:
        return [_Answer(*row) for row in connection.execute(_LABELLED).fetchall()]


def _neighbours(pipeline: Pipeline) -> list[Neighbour]:
    from batch_pipeline.warehouse.neighbours import embedded, nearest

    if not answered(pipeline, EMBEDDINGS):
        return []
    with pipeline.warehouse.read() as connection:
        found = embedded(connection, EMBEDDINGS, LIKE_WHICH)
        return nearest(connection, EMBEDDINGS, found, limit=3, everywhere=False) if found else []


def _judge(pipeline: Pipeline) -> Judged | None:
    """Scores a dozen of the labels that are there; asks for nothing that is not."""
    from batch_pipeline.evaluation.gold import read_gold
    from batch_pipeline.evaluation.run import Evaluation, begin, finish, match
    from batch_pipeline.settings import project_root
    from batch_pipeline.tasks.registry import load_tasks

    if not answered(pipeline, LABELS):
        return None
    task = load_tasks().get(LABELS)
    gold = read_gold(project_root() / "data" / "issues" / "gold.csv", task, ())
    matched = match(pipeline, Evaluation(task, gold, EVALUATED))
    job = begin(pipeline, matched)
    (judged,) = finish(pipeline, matched, job.job_id if job else None)
    return judged


def _cost(pipeline: Pipeline, found: Sequence[JobStatus]) -> Comparison:
    """What all of the demo's jobs cost, and would have cost elsewhere."""
    from batch_pipeline.batches.money.estimates import Comparison
    from batch_pipeline.batches.standing.report import comparison, price_threshold
    from batch_pipeline.ledger import jobs
    from batch_pipeline.warehouse.figures import figures

    with pipeline.ledger.read() as db:
        chains = {job.job_id: [each.job_id for each in jobs.attempts(db, job.job_id)] for job in found}
    total = Comparison()
    with pipeline.warehouse.read() as connection:
        for job in found:
            threshold = price_threshold(pipeline, job.provider, job.model)
            total += comparison(pipeline, job, figures(connection, chains, threshold)[job.job_id])
    return total


def _say_answers(answers: Sequence[_Answer]) -> None:
    say()
    say(f"Labels, by the model alone ({plural(len(answers), 'issue')}, {min(SHOWN, len(answers))} of them shown):")
    columns = [Column("Issue"), Column("Label"), Column("Title", shrinks=True)]
    print_table(columns, [(answer.record_id, answer.label, answer.title) for answer in answers[:SHOWN]])


def _say_neighbours(near: Sequence[Neighbour]) -> None:
    say()
    say(f"Nearest to {LIKE_WHICH}, by embedding:")
    columns = [Column("Similarity", right=True), Column("Issue"), Column("Title", shrinks=True)]
    print_table(columns, [(f"{each.similarity:.3f}", each.record_id, each.title or "") for each in near])


def _say_cost(pipeline: Pipeline, cost: Comparison, seconds: float) -> None:
    model = pipeline.settings.price_as
    say(f"These {plural(cost.records, 'answer')} cost {usd(cost.paid_usd)} on this machine, in {seconds:.0f} s.")
    say(
        f"At OpenAI, with {model}: {usd(cost.realtime_usd)} in realtime, {usd(cost.batch_usd)} in batch; "
        f"{usd(cost.saved_usd)} ({cost.saved_share:.0%}) saved."
    )
    own = pipeline.data_dir
    here = own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own
    say(f"Look at them: BATCH_PIPELINE_DATA_DIR={here} batch-pipeline query 'FROM {LABELS}_latest'")
    say("Next: batch-pipeline dev, and the README's first steps.")


_LABELLED = f"""
    SELECT issues.record_id, issues.title, answers.label
    FROM {LABELS}_latest AS answers
    JOIN issues USING (record_id)
    ORDER BY issues.repo, issues.number
"""  # noqa: S608 - a constant of ours
