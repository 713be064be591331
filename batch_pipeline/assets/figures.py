"""What a cell's jobs came to, out of ledger and warehouse: the facts that metadata and checks are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from batch_pipeline.assets.cells import Cell
from batch_pipeline.batches.money.estimates import Comparison
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.report import comparison, price_threshold
from batch_pipeline.batches.standing.status import FINAL, JobStatus, status
from batch_pipeline.ledger import partitions
from batch_pipeline.warehouse import figures as warehouse
from batch_pipeline.warehouse.figures import Figures

if TYPE_CHECKING:
    import pandas as pd

PREVIEW_ROWS = 5


@dataclass(frozen=True)
class JobFacts:
    """A job with its attempts (`chain`), as the ledger and as the warehouse has it. `bound_usd`: its worst case."""

    now: JobStatus
    chain: Sequence[str]
    stored: Figures
    cost: Comparison
    bound_usd: float
    preview: pd.DataFrame | None = None

    @property
    def final(self) -> bool:
        """Through, with its attempts."""
        return self.now.state in FINAL

    @property
    def accounted_for(self) -> bool:
        """Every record has one outcome, and once the job is through, the warehouse's rows say the same."""
        outcomes = {outcome: count for outcome, count in self.now.outcomes.items() if count}
        return sum(outcomes.values()) == self.now.records and (not self.final or outcomes == self.stored.outcomes)


@dataclass(frozen=True)
class CellFacts:
    """The jobs of one cell, the newest last; `rows` are records with an answer in the task's table, of all its jobs."""

    cell: Cell
    jobs: Sequence[JobFacts] = field(default_factory=list[JobFacts])
    rows: int = 0

    @property
    def final(self) -> bool:
        """All that was looked at is through."""
        return all(job.final for job in self.jobs)

    @property
    def outcomes(self) -> Counter[str]:
        """Records by outcome."""
        return sum((Counter(job.now.outcomes) for job in self.jobs), Counter[str]())

    @property
    def cost(self) -> Comparison:
        """Paid, and in each mode."""
        return sum((job.cost for job in self.jobs), Comparison())


def facts_of(
    pipeline: Pipeline, task: str, columns: Sequence[str], roots: Mapping[Cell, Sequence[str]]
) -> list[CellFacts]:
    """The facts of cells, each with the jobs that were looked at.

    Args:
        pipeline: The pipeline.
        task: Whose table it is.
        columns: Columns of the answer, for the preview.
        roots: Cell to jobs.
    """
    found = {job.now.job_id: job for job in facts_of_jobs(pipeline, [root for of in roots.values() for root in of])}
    of_cell = _jobs_of_cells(pipeline, task, list(roots))
    chains = {root: job.chain for root, job in found.items()}
    with pipeline.warehouse.read() as connection:
        previews = warehouse.answers(connection, task, columns, chains, PREVIEW_ROWS)
        rows = warehouse.answered_records(connection, task, {str(cell): of_cell[cell] for cell in roots})
    shown = {root: replace(job, preview=previews.get(root)) for root, job in found.items()}
    return [CellFacts(cell, [shown[root] for root in of], rows.get(str(cell), 0)) for cell, of in roots.items()]


def facts_of_jobs(pipeline: Pipeline, root_job_ids: Sequence[str]) -> list[JobFacts]:
    """The facts of jobs, without their answers."""
    standing = {root: status(pipeline, root) for root in root_job_ids}
    with pipeline.ledger.read() as db:
        placed = partitions.of_roots(db, standing)
    chains: dict[str, list[str]] = {root: [] for root in standing}
    bounds = dict.fromkeys(standing, 0.0)
    for job in placed:
        chains[job.root_job_id].append(job.job_id)
        bounds[job.root_job_id] += job.bound_usd
    with pipeline.warehouse.read() as connection:
        stored: dict[str, Figures] = {}
        for threshold, group in _by_threshold(pipeline, standing).items():
            stored |= warehouse.figures(connection, {root: chains[root] for root in group}, threshold)
    return [
        JobFacts(now, chains[root], stored[root], comparison(pipeline, now, stored[root]), bounds[root])
        for root, now in standing.items()
    ]


def _by_threshold(pipeline: Pipeline, standing: Mapping[str, JobStatus]) -> dict[int | None, list[str]]:
    groups: dict[int | None, list[str]] = {}
    for root, now in standing.items():
        groups.setdefault(price_threshold(pipeline, now.provider, now.model), []).append(root)
    return groups


def _jobs_of_cells(pipeline: Pipeline, task: str, cells: Sequence[Cell]) -> dict[Cell, list[str]]:
    """All jobs and attempts that ever were made for these cells."""
    by_key = {cell.key: cell for cell in cells}
    found: dict[Cell, list[str]] = {cell: [] for cell in cells}
    with pipeline.ledger.read() as db:
        for job in partitions.of_task(db, task):
            if job.partition_key in by_key:
                found[by_key[job.partition_key]].append(job.job_id)
    return found
