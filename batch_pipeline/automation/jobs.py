"""Jobs with a name of their own: what the schedule starts. All other runs name the assets that they are about."""

from __future__ import annotations

import dagster as dg

from batch_pipeline.assets import keys

MAX_RUNTIME = "dagster/max_runtime"
"""The tag of a run's longest time, in seconds; `dagster.yaml` ends all others much sooner."""
ISSUES_SECONDS = 4 * 3600
"""GitHub's limits are by the hour, and a wide run may meet several of them."""
BATCHES_SECONDS = 2 * 3600
"""Uploads and downloads of many files."""

reprocess = dg.define_asset_job(  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
    "reprocess",
    selection=dg.AssetSelection.assets(keys.REPROCESS_FAILED),
    description="Failed records of earlier jobs, asked anew: give a task in the launchpad, and a code, a day or a job.",
    tags={MAX_RUNTIME: str(BATCHES_SECONDS)},
)

collect_issues = dg.define_asset_job(  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
    "collect_issues",
    selection=dg.AssetSelection.assets(keys.ISSUES),
    description="A night's issues, of all repositories in one run.",
    tags={MAX_RUNTIME: str(ISSUES_SECONDS)},
)
