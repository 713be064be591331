"""What the UI shows of a cell. Numbers have stable names: Dagster plots them over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from batch_pipeline.assets.figures import CellFacts, JobFacts
from batch_pipeline.assets.reporting import Metadata
from batch_pipeline.batches.status import BatchStatus, JobStatus
from batch_pipeline.ledger.jobs import Job

if TYPE_CHECKING:
    import pandas as pd


CELL_WIDTH = 120
"""Characters of a text in a preview."""


def of_plan(job: Job) -> Metadata:
    """Of `requests`: what was selected, and what became of it."""
    return {
        "dagster/row_count": job.requests,
        "records": job.records,
        "selected": job.selected,
        "answered before": job.skipped,
        "reused": job.reused,
        "waiting for another job": job.waiting,
        "too large to send": job.unsendable,
        "given up before": job.given_up,
        "input tokens": job.input_tokens,
        "estimate (USD)": job.estimate_usd,
        "worst case (USD)": job.bound_usd,
        "model": job.model,
        "provider": job.provider,
        "job": job.job_id if job.records else "none: nothing is left to ask",
    }


def of_submission(job: Job, now: JobStatus | None) -> Metadata:
    """Of `submission`: the provider's batches."""
    batches = now.batches if now else ()
    return {
        "batches": len(batches),
        "requests": job.requests,
        "input tokens": job.input_tokens,
        "estimate (USD)": job.estimate_usd,
        "provider batches": _batches(batches),
        "job": job.job_id if job.records else "none: nothing is left to ask",
        "command": dg.MetadataValue.md(f"`batch-pipeline status {job.job_id}`") if job.records else "",
    }


def of_change(now: JobStatus) -> Metadata:
    """Of an observation: how far the provider is."""
    return {
        "completed": sum(batch.completed for batch in now.batches),
        "requests": sum(batch.total for batch in now.batches),
        "provider batches": _batches(now.batches),
        "job": now.job_id,
    }


def of_late(batch_ids: Sequence[str]) -> Metadata:
    """Of the check of windows: what the provider still has after its time."""
    return {"late batches": len(batch_ids), "which": ", ".join(batch_ids[:10]) or "none"}


def of_results(facts: CellFacts) -> Metadata:
    """Of `results`: outcomes, tokens, money, errors by code, and the first answers."""
    tokens = [counts for job in facts.jobs for counts in job.stored.tokens]
    cost = facts.cost
    return {
        "dagster/row_count": facts.rows,
        "records": facts.outcomes.total(),
        "answered": facts.outcomes["answered"],
        "not answered": facts.outcomes.total() - facts.outcomes["answered"],
        "requests": sum(job.now.requests for job in facts.jobs),
        "attempts": max((job.now.attempts for job in facts.jobs), default=0),
        "input tokens": sum(counts.input_tokens for counts in tokens),
        "cached tokens": sum(counts.cached_tokens for counts in tokens),
        "output tokens": sum(counts.output_tokens for counts in tokens),
        "paid (USD)": cost.paid_usd,
        "batch price (USD)": cost.batch_usd,
        "realtime price (USD)": cost.realtime_usd,
        "saved (USD)": cost.saved_usd,
        "estimate (USD)": sum(job.now.estimated_cost_usd for job in facts.jobs),
        "answers": _answers(facts.jobs),
        "outcomes": _table(["outcome", "records"], sorted(facts.outcomes.items())),
        "errors by code": _errors(facts.jobs),
        "provider batches": _batches([batch for job in facts.jobs for batch in job.now.batches]),
        "jobs": ", ".join(job.now.job_id for job in facts.jobs) or "none",
    }


def of_jobs(found: Sequence[JobFacts]) -> Metadata:
    """Of `adhoc_jobs`: task by task, and each job."""
    metadata: dict[str, dg.MetadataValue[Any] | str | int | float] = {
        "jobs": len(found),
        "jobs in flight": sum(not job.final for job in found),
    }
    for task in sorted({job.now.task for job in found}):
        of_task = [job for job in found if job.now.task == task]
        metadata[f"{task}: records"] = sum(job.now.records for job in of_task)
        metadata[f"{task}: answered"] = sum(job.now.answered for job in of_task)
        metadata[f"{task}: paid (USD)"] = sum(job.now.cost_usd for job in of_task)
    columns = ["job", "task", "state", "records", "answered", "paid (USD)"]
    rows = ((j.now.job_id, j.now.task, j.now.state, j.now.records, j.now.answered, j.now.cost_usd) for j in found)
    return metadata | {"each job": _table(columns, rows)}


def markdown(frame: pd.DataFrame) -> dg.MetadataValue[Any]:
    """A table of texts, for what Dagster's own tables show less well."""
    head = list(map(str, frame.columns))
    rows = [[_text(value) for value in row] for row in frame.itertuples(index=False)]
    lines = [head, ["---"] * len(head), *rows]
    return dg.MetadataValue.md("\n".join("| " + " | ".join(line) + " |" for line in lines))


def _answers(found: Sequence[JobFacts]) -> dg.MetadataValue[Any]:
    import pandas as pd

    frames = [job.preview for job in found if job.preview is not None]
    return markdown(pd.concat(frames)) if frames else dg.MetadataValue.md("*no answers*")


def _errors(found: Sequence[JobFacts]) -> dg.MetadataValue[Any]:
    rows = [
        (error.code, error.outcome, error.requests, error.example[:CELL_WIDTH])
        for job in found
        for error in job.stored.errors
    ]
    return _table(["code", "outcome", "requests", "example"], rows)


def _batches(batches: Iterable[BatchStatus]) -> dg.MetadataValue[Any]:
    columns = ["provider's id", "state", "completed", "of", "batch"]
    rows = [(b.remote_id or "-", b.remote_status or b.state, b.completed, b.total, b.batch_id) for b in batches]
    return _table(columns, rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MetadataValue[Any]:
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(columns))
    return markdown(frame) if len(frame) else dg.MetadataValue.md("*none*")


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = " ".join(str(value).split()).replace("|", "\\|")
    return text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 1] + "…"
