"""`/api/tasks` and `/api/cost`: what is asked, and what it came to."""

from __future__ import annotations

from fastapi import APIRouter

from batch_pipeline.api.models import Costs, CostShown, Tasks, TaskShown
from batch_pipeline.api.service import Service
from batch_pipeline.batches.standing.cost import Cost, costs
from batch_pipeline.errors import UsageError
from batch_pipeline.settings import Settings
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline.tasks.task import BatchTask


def routes(service: Service) -> APIRouter:
    """The routes of one server."""
    router = APIRouter(prefix="/api", tags=["reports"])
    pipeline = service.pipeline

    @router.get("/tasks")
    def list_tasks() -> Tasks:
        """List the tasks; a file that does not load is named."""
        known = load_tasks()
        shown = [_task(task, pipeline.settings) for task in known.by_name.values()]
        return Tasks(tasks=shown, failed=known.failed)

    @router.get("/cost")
    def show_costs() -> Costs:
        """Compare what was estimated and paid, and what each mode would have come to."""
        return Costs(costs=[_cost(one) for one in costs(pipeline)])

    return router


def _task(task: BatchTask, settings: Settings) -> TaskShown:
    provider = task.provider or settings.provider
    try:
        model = settings.model_for(provider, task.model, embeds=task.embeds)
    except UsageError:
        model = None
    return TaskShown(
        task=task.name,
        provider=provider,
        model=model,
        endpoint=task.endpoint,
        partitions=task.partitions,
        prompt_version=task.prompt_version(task.asked_as[0]),
        variants=list(task.variants),
        answer=dict(task.answer_columns),
    )


def _cost(one: Cost) -> CostShown:
    modes = one.modes
    return CostShown.model_validate(
        {
            "task": one.task,
            "provider": one.provider,
            "model": one.model,
            "mode": one.mode,
            "jobs": one.jobs,
            "records": one.records,
            "answered": modes.records,
            "estimated_usd": one.estimate_usd,
            "paid_usd": modes.paid_usd,
            "batch_usd": modes.batch_usd,
            "flex_usd": modes.flex_usd,
            "realtime_usd": modes.realtime_usd,
            "saved_usd": modes.saved_usd,
            "per_record_usd": modes.per_record_usd,
        }
    )
