"""The assets of a task: its requests, their submission, and the results. Public: `build_batch_assets`."""

# no `from __future__ import annotations`: Dagster reads the annotations of a step, and can't read them as text

from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
from pydantic import Field

from batch_pipeline.assets import checks, keys, results, submission
from batch_pipeline.assets.cells import Cells, Select, selects
from batch_pipeline.assets.reporting import Event
from batch_pipeline.automation.partitions import nights, ranges_are_beta, repo_nights
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.requests.orders import read_orders
from batch_pipeline.settings import Settings, load_settings
from batch_pipeline.tasks.task import BatchTask

_BY_ITSELF = "What is collected is planned and sent by itself."
_BY_HAND = "No night asks it by itself (`nightly=False`): materialize it where it is wanted."

Deps = Iterable[dg.AssetDep | dg.AssetSpec | dg.AssetsDefinition | dg.AssetKey | str]


class JobsConfig(dg.Config):
    """Which jobs a run is about; those of its cells where none are named."""

    jobs: list[str] = Field(default=[], description="Ids of jobs; all of the run's cells where there are none.")


class PlanConfig(JobsConfig):
    """What a run plans, where a person launches it; all that the task says where nothing is given."""

    variants: list[str] = Field(default=[], description="Variants of the task; those that it is asked in by itself.")
    order: str = Field(default="", description="What comes first: age, newest, updated, reactions, comments, label.")
    limit: int = Field(default=0, description="Records of a cell, at most; 0 for all.")


def build_batch_assets(
    task: BatchTask,
    *,
    deps: Deps | None = None,
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    select: Select | None = None,
) -> Sequence[dg.AssetsDefinition]:
    """The assets of a task, for this project's `Definitions` or your own.

    `<task>/requests` plans, `<task>/submission` sends, and `<task>/results` collects what the provider has answered,
    into the table `<task>`. Beside them go the resource `pipeline` and a sensor that asks for results:

        days = dg.DailyPartitionsDefinition("2026-01-01")
        mood_assets = build_batch_assets(mood, deps=["posts"], partitions_def=days)
        defs = dg.Definitions(
            assets=[posts, *mood_assets],
            sensors=[build_batch_monitor(mood_assets)],
            resources={"pipeline": PipelineResource()},
        )

    A range of partitions is one run, in which one that fails leaves the others alone: it is not materialized, and
    says why in an observation. A run of a single partition fails where that fails.

    Args:
        task: What is asked.
        deps: The assets that its records come from; as `task.deps` says where there are none.
        partitions_def: The partitions of all three; as `task.partitions` says where there are none.
        select: Which records a partition's key means. Days are nights, and dimensions named `night`, `repo`, `org`
            or `state` are columns of the records; other partitions need it.

    Raises:
        InvalidTask: What the partitions select can't be told, and `select` does not say.
    """
    if partitions_def is None:
        partitions_def = _partitions(task, load_settings())
    return [
        _submission(
            task, task.deps if deps is None else deps, partitions_def, select or selects(task.name, partitions_def)
        ),
        _results(task, partitions_def),
    ]


def _partitions(task: BatchTask, settings: Settings) -> dg.PartitionsDefinition[str] | None:
    if task.partitions is None:
        return None
    return repo_nights(settings) if task.partitions == "repo_night" else nights(settings)


@ranges_are_beta()
def _submission(
    task: BatchTask, deps: Deps, partitions_def: dg.PartitionsDefinition[str] | None, select: Select
) -> dg.AssetsDefinition:
    requests_key, submission_key = keys.requests_key(task.name), keys.submission_key(task.name)
    provider = task.provider or load_settings().provider

    @dg.multi_asset(
        name=keys.submit_step(task.name),
        specs=[
            dg.AssetSpec(
                requests_key,
                deps=deps,
                skippable=True,
                group_name=task.name,
                owners=keys.OWNERS,
                kinds={"python", "json"},
                description=f"The requests of `{task.name}`: a line for each record that has no answer yet, in files "
                "within the provider's limits. What is answered already, by whatever job, is not asked again. "
                f"{_BY_ITSELF if task.nightly else _BY_HAND}",
                tags={keys.NIGHTLY: "yes" if task.nightly else "no"},
                partitions_def=partitions_def,
            ),
            dg.AssetSpec(
                submission_key,
                deps=[requests_key],
                skippable=True,
                group_name=task.name,
                owners=keys.OWNERS,
                kinds={provider},
                description=f"The batches of `{task.name}` at the provider, each created once. An observation tells of "
                "every change there, until they have ended.",
                partitions_def=partitions_def,
            ),
        ],
        check_specs=[
            dg.AssetCheckSpec(
                keys.WITHIN_WINDOW,
                asset=submission_key,
                description="No batch is still in flight after its window; evaluated again by the monitor.",
            )
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def submit_batches(
        context: dg.AssetExecutionContext, config: PlanConfig, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[Event]:
        asked = submission.Asked(
            task=task,
            select=select,
            plans=requests_key in context.selected_asset_keys,
            sends=submission_key in context.selected_asset_keys,
            jobs=config.jobs,
            variants=config.variants,
            order=read_orders(config.order) if config.order else None,
            limit=config.limit or None,
        )
        yield from submission.run(context, pipeline, Cells.of(context), asked)

    return submit_batches


@ranges_are_beta()
def _results(task: BatchTask, partitions_def: dg.PartitionsDefinition[str] | None) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.results_key(task.name),
        deps=[keys.submission_key(task.name)],
        partitions_def=partitions_def,
        group_name=task.name,
        owners=keys.OWNERS,
        kinds={"duckdb", "table"},
        description=f"The typed answers of `{task.name}`, in the table of that name; materialized when a job and its "
        "attempts are through, for every record has one outcome then.",
        check_specs=checks.specs(task),
        output_required=False,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def results_of_task(
        context: dg.AssetExecutionContext, config: JobsConfig, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[Event]:
        yield from results.run(context, pipeline, Cells.of(context), task, config.jobs)

    return results_of_task
