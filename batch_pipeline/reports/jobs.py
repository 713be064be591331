"""The newest jobs, and what became of their records: as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from batch_pipeline.batches.standing.status import JobStatus
from batch_pipeline.reports.canvas import Axes, Form, beside, canvas, nothing, titled

SHOWN = 15
"""Jobs in the picture, the newest above."""
TITLE = "Records of the newest jobs"
_WIDTH = 9.0
_PARTS = (("answered", "#4aa564"), ("without an answer", "#d1605e"), ("on their way", "#a3adbb"))


def plot_jobs(newest: Sequence[JobStatus], form: Form = "png") -> bytes:
    """The records of each job: answered, through without an answer, on their way."""
    shown = list(newest[:SHOWN])[::-1]
    with canvas(_WIDTH, 1.2 + 0.3 * max(2, len(shown)), form) as drawn:
        axes: Axes = drawn.figure.subplots()
        if shown:
            _bars(axes, shown)
        else:
            titled(axes, TITLE)
            nothing(axes, "there are no jobs yet")
    return drawn.picture


def parts(job: JobStatus) -> tuple[int, int, int]:
    """Records that are answered, through without an answer, and on their way."""
    pending = 0 if job.final else job.outcomes.get("pending", 0)
    return job.answered, job.records - job.answered - pending, pending


def _bars(axes: Axes, shown: Sequence[JobStatus]) -> None:
    places, base = range(len(shown)), [0] * len(shown)
    for (name, colour), widths in zip(_PARTS, zip(*map(parts, shown), strict=True), strict=True):
        if any(widths):
            axes.barh(places, widths, 0.62, left=base, color=colour, label=name)
        base = [left + width for left, width in zip(base, widths, strict=True)]
    for place, job in enumerate(shown):
        beside(axes, base[place], place, f"{job.answered:,} of {job.records:,}")
    axes.set_yticks(places, [f"{job.job_id} ({job.state.replace('_', ' ')})" for job in shown])
    axes.set_ylim(-0.6, max(len(shown), 2) - 0.4)
    axes.set_xlim(0, max(1, *base) * 1.15)
    axes.grid(visible=True, axis="x")
    axes.locator_params(axis="x", integer=True)
    titled(axes, TITLE, len(_PARTS))
