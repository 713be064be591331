"""What the UI shows of a cell. Numbers have stable names: Dagster plots them over time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import dagster as dg

from batch_pipeline.assets.figures import CellFacts, JobFacts
from batch_pipeline.assets.reporting import Metadata
from batch_pipeline.batches.canary import PASSED
from batch_pipeline.batches.standing.status import BatchStatus, JobStatus
from batch_pipeline.ledger.jobs import Job

if TYPE_CHECKING:
    import pandas as pd


CELL_WIDTH = 100
"""Characters of a text in a table."""
BAR_WIDTH = 20
SHOWN = 900
"""Characters of a table: markdown of a thousand is shown behind a link only."""


def of_plan(jobs: Sequence[Job]) -> Metadata:
    """Of `requests`: what was selected, and what became of it; over the jobs of a cell, one for each variant."""
    return {
        "dagster/row_count": sum(job.requests for job in jobs),
        "records": sum(job.records for job in jobs),
        "selected": sum(job.selected for job in jobs),
        "answered before": sum(job.skipped for job in jobs),
        "reused": sum(job.reused for job in jobs),
        "waiting for another job": sum(job.waiting for job in jobs),
        "too large to send": sum(job.unsendable for job in jobs),
        "given up before": sum(job.given_up for job in jobs),
        "input tokens": sum(job.input_tokens for job in jobs),
        "estimate (USD)": usd(sum(job.estimate_usd for job in jobs)),
        "worst case (USD)": usd(sum(job.bound_usd for job in jobs)),
        "model": ", ".join(dict.fromkeys(job.model for job in jobs)),
        "provider": ", ".join(dict.fromkeys(job.provider for job in jobs)),
        **_variants(jobs),
        **_canaries(jobs),
        "job": _ids(jobs),
    }


def of_submission(jobs: Sequence[Job], standing: Sequence[JobStatus]) -> Metadata:
    """Of `submission`: the provider's batches, over the jobs of a cell; `standing` of those that have records."""
    batches = [batch for now in standing for batch in now.batches]
    commands = "\n\n".join(f"`batch-pipeline status {now.job_id}`" for now in standing)
    return {
        "batches": len(batches),
        "requests": sum(job.requests for job in jobs),
        "input tokens": sum(job.input_tokens for job in jobs),
        "estimate (USD)": usd(sum(job.estimate_usd for job in jobs)),
        "provider batches": _batches(batches),
        **_variants(jobs),
        **_canaries(jobs),
        "job": _ids(jobs),
        "command": dg.MetadataValue.md(commands) if commands else "",
    }


def _ids(jobs: Sequence[Job]) -> str:
    return ", ".join(job.job_id for job in jobs if job.records) or "none: nothing is left to ask"


def _variants(jobs: Sequence[Job]) -> dict[str, str]:
    named = {str(job.selection["variant"]): job.records for job in jobs if job.selection.get("variant")}
    return {"variants": ", ".join(f"{name} ({records:,})" for name, records in named.items())} if named else {}


def _canaries(jobs: Sequence[Job]) -> dict[str, str]:
    named = {job.canary: str(job.metadata.get(PASSED, "")) for job in jobs if job.canary}
    told = [f"{canary}: {seen}" if seen else canary for canary, seen in named.items()]
    return {"canary": "; ".join(told)} if told else {}


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
        "answers": _answers(facts.jobs),
        "outcomes": bars(["outcome", "records"], facts.outcomes.most_common(), 1),
        "errors by code": _errors(facts.jobs),
        "provider batches": _batches([batch for job in facts.jobs for batch in job.now.batches]),
        "jobs": ", ".join(job.now.job_id for job in facts.jobs) or "none",
        "records": facts.outcomes.total(),
        "answered": facts.outcomes["answered"],
        "not answered": facts.outcomes.total() - facts.outcomes["answered"],
        "requests": sum(job.now.requests for job in facts.jobs),
        "attempts": max((job.now.attempts for job in facts.jobs), default=0),
        "input tokens": sum(counts.input_tokens for counts in tokens),
        "cached tokens": sum(counts.cached_tokens for counts in tokens),
        "output tokens": sum(counts.output_tokens for counts in tokens),
        "paid (USD)": usd(cost.paid_usd),
        "batch price (USD)": usd(cost.batch_usd),
        "realtime price (USD)": usd(cost.realtime_usd),
        "saved (USD)": usd(cost.saved_usd),
        "estimate (USD)": usd(sum(job.now.estimated_cost_usd for job in facts.jobs)),
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
        metadata[f"{task}: paid (USD)"] = usd(sum(job.now.cost_usd for job in of_task))
    columns = ["job", "task", "state", "records", "answered", "paid (USD)"]
    rows = ((j.now.job_id, j.now.task, j.now.state, j.now.records, j.now.answered, j.now.cost_usd) for j in found)
    return metadata | {"each job": table(columns, rows)}


def usd(amount: float) -> float:
    """To a millionth of a cent: what a single request may cost, and no digits beyond it."""
    return round(amount, 8)


def picture(png: bytes, shows: str) -> dg.MetadataValue[Any]:
    """A picture, within the metadata; `shows` is read where it can't be seen."""
    return dg.MetadataValue.md(f"![{shows}](data:image/png;base64,{b64encode(png).decode()})")


def markdown(frame: pd.DataFrame) -> dg.MetadataValue[Any]:
    """A frame as a table."""
    return table([str(name) for name in frame.columns], frame.itertuples(index=False, name=None))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MetadataValue[Any]:
    """A table as far as the UI shows it at once: a longer one is behind a link."""
    lines = [_line(row) for row in rows]
    if not lines:
        return dg.MetadataValue.md("*none*")
    head = f"{_line(columns)}\n{_line(['---'] * len(columns))}"
    shown = [
        line
        for line, end in zip(lines, accumulate(map(len, lines)), strict=True)
        if end + len(lines) < SHOWN - len(head)
    ]
    more = len(lines) - len(shown)
    return dg.MetadataValue.md("\n".join([head, *shown]) + (f"\n\n*and {more:,} more*" if more else ""))


def bars(columns: Sequence[str], rows: Iterable[Sequence[object]], of: int) -> dg.MetadataValue[Any]:
    """A table with a picture: a bar a row, for the number in the column `of`. A real picture is behind a link."""
    found = list(rows)
    numbers = [float(str(row[of]).removeprefix("$").replace(",", "")) for row in found]
    most = max(numbers, default=0.0)
    drawn = [bar(number / most if most else 0.0) for number in numbers]
    return table([*columns, " "], ([*row, each] for row, each in zip(found, drawn, strict=True)))


def bar(share: float) -> str:
    """A bar of up to `BAR_WIDTH` characters, to an eighth of one; whatever there is shows."""
    eighths = max(round(share * BAR_WIDTH * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]


def _line(values: Iterable[object]) -> str:
    return f"| {' | '.join(_text(value) for value in values)} |"


def _answers(found: Sequence[JobFacts]) -> dg.MetadataValue[Any]:
    """Short fields first: what is long is cut off at the right."""
    import pandas as pd

    frames = [job.preview for job in found if job.preview is not None and len(job.preview)]
    if not frames:
        return dg.MetadataValue.md("*no answers*")
    frame = pd.concat(frames)
    rows = [[_text(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    places = sorted(range(1, len(frame.columns)), key=lambda place: max(len(row[place]) for row in rows))
    columns = ["record", *(str(frame.columns[place]) for place in places)]
    return table(columns, ([row[0].rpartition("/")[2], *(row[place] for place in places)] for row in rows))


def _errors(found: Sequence[JobFacts]) -> dg.MetadataValue[Any]:
    errors = [error for job in found for error in job.stored.errors]
    rows = ((error.code, error.outcome, error.requests, error.example) for error in errors)
    return table(["code", "outcome", "requests", "example"], rows)


def _batches(batches: Iterable[BatchStatus]) -> dg.MetadataValue[Any]:
    rows = ((b.remote_id or "-", b.remote_status or b.state, f"{b.completed} of {b.total}") for b in batches)
    return table(["provider's id", "state", "completed"], rows)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = " ".join(str(value).split())
    text = text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 1] + "…"
    return text.replace("|", "¦")
