"""Rows to fill a ledger with."""

from __future__ import annotations

from pathlib import Path

from batch_pipeline.ledger import batches, jobs
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.jobs import Job


def ledger_in(folder: Path) -> Ledger:
    return Ledger(f"sqlite:///{folder}/var/ledger.db")


def job(job_id: str = "job", **columns: object) -> Job:
    values: dict[str, object] = {
        "job_id": job_id,
        "key": f"key of {job_id}",
        "root_job_id": job_id,
        "task": "issue_kind",
        "provider": "local",
        "model": "simulated",
        "snapshot": "{}",
        **columns,
    }
    return Job(**values)  # pyright: ignore[reportArgumentType] - columns by name


def batch(number: int = 0, job_id: str = "job", **columns: object) -> Batch:
    values: dict[str, object] = {
        "batch_id": f"{job_id}-{number:04d}",
        "job_id": job_id,
        "number": number,
        "sha256": "0",
        "bytes": 1,
        "requests": 1,
        "records": 1,
        "input_tokens": 1,
        "estimate_usd": 0.1,
        "bound_usd": 0.2,
        **columns,
    }
    return Batch(**values)  # pyright: ignore[reportArgumentType] - columns by name


def fill(ledger: Ledger, job_id: str = "job", count: int = 1) -> list[str]:
    """A planned job with so many batches; their ids."""
    made = [batch(number, job_id) for number in range(count)]
    with ledger.begin() as db:
        jobs.open_job(db, job(job_id, planned_at=1.0))
        batches.add(db, made)
    return [row.batch_id for row in made]
