"""The sensors: thin, around what `collected.py`, `monitor.py` and `tick.py` work out."""

# no `from __future__ import annotations`: Dagster reads the annotations of a sensor, and can't read them as text

import time
from collections.abc import Iterable, Sequence

import dagster as dg

from batch_pipeline.assets import keys
from batch_pipeline.automation import collected, tick
from batch_pipeline.automation.collected import Again, CollectedCursor, Fresh, Planned
from batch_pipeline.automation.jobs import BATCHES_SECONDS, ISSUES_SECONDS
from batch_pipeline.automation.monitor import MonitorCursor, watched_in
from batch_pipeline.automation.partitions import REPOS, repo_nights
from batch_pipeline.automation.partitions import repos as repo_partitions
from batch_pipeline.batches.kept_orders import PLANNING_SECONDS, plan_all_kept
from batch_pipeline.batches.notices import send_due_notices
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import abandon_dead_plans
from batch_pipeline.errors import WarehouseBusy
from batch_pipeline.ledger.repos import Repos
from batch_pipeline.settings import Settings, load_settings

TICK_SECONDS = 40.0
"""When a tick begins nothing more: Dagster ends one after 60 s, and keeps nothing of it."""
WAREHOUSE_SECONDS = 2.0
"""How long a tick waits for the warehouse; who writes there may write for long."""
COLLECTING_SECONDS = 600.0
"""How long what was collected waits for a run that collects more, so that all of it is planned in one run."""


def build_batch_monitor(
    assets: Iterable[dg.AssetsDefinition], *, name: str = "batch_monitor", settings: Settings | None = None
) -> dg.SensorDefinition:
    """The sensor that follows what was submitted; for this project's `Definitions` or your own.

    A tick lists what the providers have, writes that into the ledger, and asks for runs: of `submission` for what
    is planned and may go, of `results` for what has ended. It opens no warehouse and retrieves no answers.

    Args:
        assets: Those of `build_batch_assets`; only their jobs are asked for. Where `adhoc_jobs` and the reports are
            among them, those are asked for too.
        name: The sensor's name.
        settings: For how often it looks; those of the environment where there are none.
    """
    definitions = list(assets)
    watched = watched_in(definitions)
    every = frozenset(key for asset in definitions for key in asset.keys)
    report_checks = [check for asset in definitions if keys.EVAL_SCORES in asset.keys for check in asset.check_keys]

    @dg.sensor(  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
        name=name,
        asset_selection=dg.AssetSelection.assets(*sorted(every)),
        minimum_interval_seconds=(settings or load_settings()).poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Follows the batches at the providers, with one listing a tick, and asks for runs that send what "
        "waits and collect what has ended.",
    )
    def batch_monitor(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SensorResult:
        until = time.monotonic() + TICK_SECONDS
        cursor = MonitorCursor.read(context.cursor)
        abandon_dead_plans(pipeline)
        planned = plan_all_kept(pipeline, min(until, time.monotonic() + PLANNING_SECONDS))
        seen = tick.look(pipeline, cursor, until)
        seen.told += [f"{len(planned)} orders were planned that another process had left"] if planned else []
        asker = tick.Asker(pipeline, context.instance, watched, every, report_checks)
        seen.told += asker.told()
        requests = asker.ask(cursor)
        events = [*tick.changes(pipeline, seen.changed, watched), *tick.late(pipeline, watched, cursor)]
        send_due_notices(pipeline)
        return _result(context, requests, seen.told, cursor.model_dump_json(), events)

    return batch_monitor


def build_collected_issues(
    assets: Iterable[dg.AssetsDefinition], *, settings: Settings | None = None
) -> dg.SensorDefinition:
    """The sensor that plans and submits what `issues` has collected.

    Args:
        assets: Those of the tasks; the ones whose records come from `issues` are asked for, if they are `nightly`.
        settings: For how often it looks; those of the environment where there are none.
    """
    tasks = collected.planned_from_issues(assets)
    every = [keys.ISSUES, *(asset for task in tasks for asset in task.assets)]

    @dg.sensor(  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
        name="collected_issues",
        asset_selection=dg.AssetSelection.assets(*every),
        minimum_interval_seconds=(settings or load_settings()).poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes new repositories known as partitions, plans and submits what was collected, and asks "
        "again for what failed.",
    )
    def collected_issues(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SensorResult:
        cursor = CollectedCursor.read(context.cursor)
        added, told = collected.new_repos(
            context.instance.get_dynamic_partitions(REPOS), _known_repos(pipeline, cursor)
        )
        told += [f"New repository: {name}." for name in added]
        requests = _asked(context, pipeline, tasks, cursor, told)
        result = _result(context, requests, told or ["Nothing new was collected."], cursor.model_dump_json(), [])
        if added:
            return result._replace(dynamic_partitions_requests=[repo_partitions.build_add_request(added)])
        return result

    return collected_issues


def _known_repos(pipeline: Pipeline, cursor: CollectedCursor) -> list[str]:
    """Those of the settings, of the ledger, and of the warehouse, where that was written to since the last tick."""
    from batch_pipeline.warehouse.nights import repos_in

    found = [*pipeline.settings.repos, *(repo.name for repo in Repos(pipeline.ledger).all())]
    try:
        changed = pipeline.warehouse.version() or cursor.warehouse
        if changed != cursor.warehouse:
            with pipeline.warehouse.patient(WAREHOUSE_SECONDS).read() as connection:
                found += repos_in(connection)
    except WarehouseBusy:
        return found
    cursor.warehouse = changed
    return found


def _asked(
    context: dg.SensorEvaluationContext,
    pipeline: Pipeline,
    tasks: Sequence[Planned],
    cursor: CollectedCursor,
    told: list[str],
) -> list[dg.RunRequest]:
    """The runs of this tick."""
    issues = _fresh(context.instance, keys.ISSUES, cursor)
    read_again = Again([keys.ISSUES], repo_nights(pipeline.settings), [], ISSUES_SECONDS)
    busy = _assets_at_work(context.instance)
    again: list[dg.RunRequest] = []
    if keys.ISSUES in busy and issues.since is not None and issues.since > time.time() - COLLECTING_SECONDS:
        told.append("Issues are still being collected: what came is planned when they are all here.")
    else:
        cursor.seen[keys.ISSUES.to_user_string()] = issues.last
        collected.note_collected(cursor, tasks, issues)
        again += collected.runs_again(read_again, issues, context.instance)
    for task in tasks:
        key = keys.requests_key(task.task)
        plans = _fresh(context.instance, key, cursor)
        cursor.seen[key.to_user_string()] = plans.last
        collected.note_planned(cursor, task, plans)
        plan_again = Again(task.assets, task.partitions_def, task.checks, BATCHES_SECONDS)
        again += collected.runs_again(plan_again, plans, context.instance)
    if not pipeline.settings.enabled:
        told.append("BATCH_PIPELINE_ENABLED is false: what was collected is not planned.")
        return []
    return [*collected.plan_runs(cursor, tasks, busy, context.instance), *again]


def _assets_at_work(instance: dg.DagsterInstance) -> set[dg.AssetKey]:
    """The assets of runs that have not ended."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=list(tick.UNFINISHED)))
    return {asset for run in runs for asset in run.asset_selection or ()}


def _fresh(instance: dg.DagsterInstance, asset: dg.AssetKey, cursor: CollectedCursor) -> Fresh:
    """What is new of an asset since the last tick."""
    return collected.fresh(instance, asset, cursor.seen.get(asset.to_user_string(), 0))


def _result(
    context: dg.SensorEvaluationContext,
    requests: Sequence[dg.RunRequest],
    told: Sequence[str],
    cursor: str,
    events: Sequence[dg.AssetObservation | dg.AssetCheckEvaluation],
) -> dg.SensorResult:
    """A tick that asks for nothing says why; one that does says in its log what it saw."""
    for line in told if requests else ():
        context.log.info(line)
    skipped = None if requests else "; ".join(told)
    return dg.SensorResult(run_requests=requests, skip_reason=skipped, cursor=cursor, asset_events=events)
