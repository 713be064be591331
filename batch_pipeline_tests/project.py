"""The Dagster project in this process: an instance of its own, runs and ticks without a daemon."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import cast

import dagster as dg
import pytest

from batch_pipeline.automation.partitions import Range
from batch_pipeline.automation.run_requests import over_cells
from batch_pipeline.automation.schedules import night_runs
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.definitions import build_definitions
from batch_pipeline.ledger import jobs
from batch_pipeline.resources import PipelineResource, WarehouseResource
from batch_pipeline.settings import Settings
from batch_pipeline.sources.files import load_issues

NIGHT = date(2026, 11, 20)
REPOS = ("lumenquarry/tessaplot", "quillhaven/ferrywright")
SAMPLES = Path(__file__).parent.parent / "data" / "issues"
SENSORS = ("collected_issues", "batch_monitor")


def cell(repo: str, night: date = NIGHT) -> str:
    """The key of a cell."""
    return str(dg.MultiPartitionKey({"repo": repo, "night": night.isoformat()}))


def ephemeral() -> dg.DagsterInstance:
    """An instance in memory; a context manager, which gives its folder back."""
    return dg.DagsterInstance.ephemeral()  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open


def asset(name: str) -> dg.AssetKey:
    """A key, as people write it."""
    return dg.AssetKey.from_user_string(name)


class Project:
    """Definitions and an instance, at a pipeline's server.

    Args:
        pipeline: The pipeline whose settings the resources get.
        definitions: Those of the project where there are none.
        instance: One of its own where there is none.
    """

    def __init__(
        self, pipeline: Pipeline, definitions: dg.Definitions | None = None, instance: dg.DagsterInstance | None = None
    ) -> None:
        self.pipeline = pipeline
        self.definitions = definitions or _definitions()
        self.instance = instance or ephemeral()
        self.pipeline_resource = PipelineResource(settings=_as_text(pipeline.settings))
        self.asked: list[dg.RunRequest] = []
        """All runs that sensors asked for."""
        self.cursors: dict[str, str | None] = {}
        self.resources: dict[str, object] = {
            "pipeline": self.pipeline_resource,
            "warehouse": WarehouseResource(database=pipeline.settings.warehouse[0]),
        }

    def close(self) -> None:
        """Gives connections and folders back."""
        self.instance.dispose()
        self.pipeline_resource.open().close()

    def load_samples(self) -> None:
        """The sample issues, for the night, and their repositories as partitions."""
        load_issues(self.pipeline.warehouse, [str(SAMPLES)], NIGHT)
        self.add_repos(*REPOS)

    def add_repos(self, *names: str) -> None:
        """Adds partitions."""
        self.instance.add_dynamic_partitions("repos", list(names))

    def night(self) -> dg.ExecuteInProcessResult:
        """What the schedule asks for, run."""
        (request,) = night_runs(NIGHT, self.instance.get_dynamic_partitions("repos"))
        return self.run(request)

    def materialize(
        self, *names: str, partition: str | None = None, tags: Mapping[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materializes assets as a person does in the UI: of one cell, or without partitions."""
        cells = None if partition is None else Range(partition, partition)
        return self.run(over_cells(cells, [asset(name) for name in names], run_key=None, tags=tags))

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Runs what is asked for, here and now."""
        return dg.materialize(
            [each for each in self.definitions.assets or [] if isinstance(each, dg.AssetsDefinition)],
            selection=dg.AssetSelection.assets(*(request.asset_selection or [])),
            instance=self.instance,
            resources=self.resources,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            run_config=request.run_config,
            raise_on_error=False,
        )

    def tick(self, sensor: str) -> Tick:
        """Evaluates a sensor once, and does with the result what the daemon does, but for the runs."""
        with (
            dg.build_sensor_context(
                instance=self.instance,
                cursor=self.cursors.get(sensor),
                definitions=self.definitions,
                resources=self.resources,
                sensor_name=sensor,
            ) as context,
            dg.partition_loading_context(dynamic_partitions_store=self.instance),
        ):
            told = self.definitions.resolve_sensor_def(sensor).evaluate_tick(context)
        self.cursors[sensor] = told.cursor
        for added in told.dynamic_partitions_requests or []:
            self.add_repos(*added.partition_keys)
        for event in told.asset_events:
            self.instance.report_runless_asset_event(event)
        self.asked += told.run_requests or []
        return Tick(list(told.run_requests or []), told.skip_message, list(told.asset_events))

    def go_on(self, sensors: Sequence[str] = SENSORS, seconds: float = 30.0) -> list[dg.ExecuteInProcessResult]:
        """Ticks, and runs what is asked for, until nothing is open and nothing is asked for."""
        deadline, done = time.monotonic() + seconds, list[dg.ExecuteInProcessResult]()
        while time.monotonic() < deadline:
            requests = [request for sensor in sensors for request in self.tick(sensor).requests]
            done += [self.run(request) for request in requests]
            if not requests and not self._open():
                return done
        raise AssertionError("still not through")

    def cells(self, name: str) -> set[str]:
        """The cells of an asset that are materialized."""
        return set(self.instance.get_materialized_partitions(asset(name)))

    def metadata(self, name: str, partition: str | None = None) -> dict[str, object]:
        """That of the newest materialization."""
        wanted = dg.AssetRecordsFilter(asset(name), asset_partitions=None if partition is None else [partition])
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        assert record.asset_materialization is not None
        return {key: value.value for key, value in record.asset_materialization.metadata.items()}

    def told(self, name: str) -> dict[str, str]:
        """The newest observation of each cell, in words."""
        records = self.instance.fetch_observations(asset(name), limit=100, ascending=True).records
        seen = [record.asset_observation for record in records]
        return {each.partition or "all": each.description or "" for each in seen if each is not None}

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of the warehouse."""
        with self.pipeline.warehouse.read() as connection:
            return connection.execute(sql).fetchall()

    def _open(self) -> Sequence[object]:
        with self.pipeline.ledger.read() as db:
            return jobs.not_closed(db)


FEW_TASKS = ("issue_kind", "product_labeling")
"""The tasks of a project in the tests: a night of all samples takes several times as long, and shows the same."""


@cache
def _definitions() -> dg.Definitions:
    """Those of the project with a few tasks, resolved once: other settings reach the tests' resources another way."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("BATCH_PIPELINE_TASKS", ",".join(FEW_TASKS))
        return build_definitions()


def _as_text(settings: Settings) -> dict[str, str]:
    """Those that are not as they are by default, as an environment would have them."""
    given = settings.model_dump(mode="json", exclude_defaults=True)
    return {
        name: ",".join(cast("list[str]", value)) if name == "repos" else str(value) for name, value in given.items()
    }


class Tick:
    """What a tick came to."""

    def __init__(self, requests: list[dg.RunRequest], skipped: str | None, events: Iterable[object]) -> None:
        self.requests = requests
        self.skipped = skipped
        self.events = list(events)

    @property
    def assets(self) -> list[set[str]]:
        """The assets of each run that was asked for."""
        return [{key.to_user_string() for key in request.asset_selection or ()} for request in self.requests]


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """The verdicts of a run, by check."""
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
