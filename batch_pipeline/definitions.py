"""The whole Dagster project, assembled; nothing else lives here."""

from __future__ import annotations

import dagster as dg

from batch_pipeline.assets import keys
from batch_pipeline.assets.adhoc import build_adhoc_jobs
from batch_pipeline.assets.eval_scores import build_eval_scores
from batch_pipeline.assets.issues import build_issues
from batch_pipeline.assets.media import build_media
from batch_pipeline.assets.reports import build_reports
from batch_pipeline.assets.reprocess import build_reprocess_failed
from batch_pipeline.assets.task_assets import build_batch_assets
from batch_pipeline.automation.failures import build_failed_runs
from batch_pipeline.automation.jobs import collect_issues, reprocess
from batch_pipeline.automation.scheduled import build_scheduled, scheduled_orders
from batch_pipeline.automation.schedules import build_nightly
from batch_pipeline.automation.sensors import build_batch_monitor, build_collected_issues
from batch_pipeline.automation.upkeep import build_upkeep
from batch_pipeline.resources import PipelineResource, WarehouseResource
from batch_pipeline.settings import load_settings
from batch_pipeline.tasks.registry import load_tasks


def build_definitions() -> dg.Definitions:
    """The definitions, for the tasks that load and the settings of the environment."""
    settings = load_settings()
    tasks = [task for name, task in load_tasks().by_name.items() if not settings.tasks or name in settings.tasks]
    task_assets = [asset for task in tasks for asset in build_batch_assets(task)]
    followed = [*(keys.results_key(task.name) for task in tasks), keys.ADHOC_JOBS]
    reports = [build_adhoc_jobs(), *build_reports(followed), build_eval_scores(tasks, followed)]
    return dg.Definitions(
        assets=[build_issues(settings), *build_media(), *task_assets, *reports, build_reprocess_failed(tasks)],
        jobs=[collect_issues, reprocess, scheduled_orders],
        schedules=[build_nightly(settings), build_scheduled(settings), *build_upkeep(settings)],
        sensors=[
            build_collected_issues(task_assets, settings=settings),
            build_batch_monitor([*task_assets, *reports], settings=settings),
            build_failed_runs(),
        ],
        resources={"pipeline": PipelineResource(), "warehouse": WarehouseResource()},
        executor=dg.in_process_executor,
    )


defs = build_definitions()
