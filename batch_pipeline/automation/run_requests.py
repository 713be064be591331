"""Run requests over cells: a range as tags, or a single cell as a partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import dagster as dg

from batch_pipeline.automation.partitions import Range

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def over_cells(
    cells: Range | None,
    assets: Sequence[dg.AssetKey],
    *,
    run_key: str | None,
    checks: Sequence[dg.AssetCheckKey] = (),
    config: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.RunRequest:
    """One run of these assets over the cells; `cells` is None for assets without partitions."""
    single = cells is not None and cells.start == cells.end
    span = {RANGE_START: cells.start, RANGE_END: cells.end} if cells is not None and not single else {}
    return dg.RunRequest(
        run_key=run_key,
        partition_key=cells.start if cells is not None and single else None,
        asset_selection=list(assets),
        asset_check_keys=list(checks),
        run_config=dict(config or {}),
        tags={**(tags or {}), **span},
    )


def jobs_config(steps: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """The configuration by which steps learn which jobs they are about."""
    return {"ops": {step: {"config": {"jobs": list(job_ids)}} for step, job_ids in steps.items()}}


def jobs_of_runs(runs: Sequence[dg.DagsterRun]) -> set[str]:
    """The jobs that these runs were started for."""
    configs = [cast("_RunConfig", run.run_config) for run in runs]
    steps = [step for config in configs for step in config.get("ops", {}).values()]
    return {job_id for step in steps for job_id in step.get("config", {}).get("jobs", [])}


_RunConfig = Mapping[str, Mapping[str, Mapping[str, Mapping[str, list[str]]]]]
