"""The Dagster assets: issues, the three of each task, and reports. Public: `build_batch_assets`."""

from batch_pipeline.assets.task_assets import build_batch_assets

__all__ = ["build_batch_assets"]
