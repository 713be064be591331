"""Runs that failed: told to whoever is behind `NOTICE_URL`."""

# no `from __future__ import annotations`: Dagster reads the annotations of a sensor, and can't read them as text

import dagster as dg

from batch_pipeline.automation.run_requests import RANGE_END, RANGE_START
from batch_pipeline.batches.notices import notify, send_due_notices
from batch_pipeline.batches.pipeline import Pipeline

STEPS_NAMED = 5


def build_failed_runs() -> dg.SensorDefinition:
    """The sensor `failed_runs`: a notice for each run of this code location that has failed."""

    @dg.run_failure_sensor(  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
        name="failed_runs",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends a notice to `BATCH_PIPELINE_NOTICE_URL` for each run that fails: which one, of what, and "
        "where to look. Without that setting nothing is sent.",
    )
    def failed_runs(context: dg.RunFailureSensorContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
        run = context.dagster_run
        steps = [event.step_key or "" for event in context.get_step_failure_events()]
        notify(
            pipeline,
            failure_in_words(run, steps),
            kind="run failed",
            key=f"run failed|{run.run_id}",
            fields={"run_id": run.run_id, "steps": steps, "cells": cells_of(run)},
        )
        send_due_notices(pipeline)

    return failed_runs


def failure_in_words(run: dg.DagsterRun, steps: list[str]) -> str:
    """What failed and where to look; not why: an error's words may quote a record."""
    named = ", ".join(steps[:STEPS_NAMED]) or "before its first step"
    more = f" and {len(steps) - STEPS_NAMED} more steps" if len(steps) > STEPS_NAMED else ""
    cells = f" for {cells}" if (cells := cells_of(run)) else ""
    return f"Run {run.run_id[:8]} failed{cells}: {named}{more}. Its log is in the Dagster UI, under /runs/{run.run_id}."


def cells_of(run: dg.DagsterRun) -> str | None:
    """The partition of a run, or the first and the last of its range."""
    start, end = run.tags.get(RANGE_START), run.tags.get(RANGE_END)
    if start and end:
        return start if start == end else f"{start} to {end}"
    return run.tags.get("dagster/partition")
