"""The schedule: each night, what changed in all repositories."""

# no `from __future__ import annotations`: Dagster reads the annotations of a schedule, and can't read them as text

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import dagster as dg

from batch_pipeline.assets import keys
from batch_pipeline.automation.jobs import collect_issues
from batch_pipeline.automation.partitions import NIGHT, REPO, REPOS, ranges_over
from batch_pipeline.automation.run_requests import over_cells
from batch_pipeline.settings import Settings


def build_nightly(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule `nightly`: at `NIGHT_HOUR`, for the day that has ended."""

    @dg.schedule(  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
        name="nightly",
        job=collect_issues,
        cron_schedule=f"0 {settings.night_hour} * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="One run of `issues` over all repositories, for the day that has ended.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        night = night_before(context.scheduled_execution_time)
        repos = context.instance.get_dynamic_partitions(REPOS)
        why_not = _why_not(settings, night, repos)
        return dg.SkipReason(why_not) if why_not else night_runs(night, repos)

    return nightly


def night_before(moment: datetime) -> date:
    """The day that has ended, in the time zone of `moment`."""
    return moment.date() - timedelta(days=1)


def night_runs(night: date, repos: Sequence[str]) -> list[dg.RunRequest]:
    """One run over all repositories, in the order in which they were added; several where they are very many."""
    cells = [str(dg.MultiPartitionKey({REPO: repo, NIGHT: night.isoformat()})) for repo in repos]
    return [over_cells(each, [keys.ISSUES], run_key=f"{night}:{each.start}") for each in ranges_over(cells, cells)]


def _why_not(settings: Settings, night: date, repos: Sequence[str]) -> str | None:
    if not settings.nightly:
        return "BATCH_PIPELINE_NIGHTLY is false: nights are collected by hand."
    if night < settings.first_night:
        return f"{night} lies before BATCH_PIPELINE_FIRST_NIGHT, {settings.first_night}."
    if not repos:
        return "There are no repositories yet: name some in BATCH_PIPELINE_REPOS, or load issues from files."
    return None
