"""The Dagster project in this process: an instance of its own, runs and ticks without a daemon."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import dagster as dg

from batch_pipeline.automation.schedules import night_runs
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.definitions import build_definitions
from batch_pipeline.resources import PipelineResource
from batch_pipeline.sources.files import load_issues

NIGHT = date(2026, 11, 20)
REPOS = ("lumenquarry/tessaplot", "quillhaven/ferrywright")
SAMPLES = Path(__file__).parent.parent / "data" / "issues"


def cell(repo: str, night: date = NIGHT) -> str:
    """The key of a cell."""
    return str(dg.MultiPartitionKey({"repo": repo, "night": night.isoformat()}))


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
        settings = pipeline.settings
        given = {"local_url": settings.local_url, "data_dir": str(settings.data_dir), "create_wait_seconds": "0"}
        given |= {"enabled": str(settings.enabled), "max_attempts": str(settings.max_attempts)}
        self.definitions = definitions or build_definitions()
        self.resources = {"pipeline": PipelineResource(settings=given)}
        self.instance = instance or dg.DagsterInstance.ephemeral()
        self.cursors: dict[str, str | None] = {}
        self.runs: list[dg.RunRequest] = []
        """All that were asked for."""

    def add_repos(self, *names: str) -> None:
        """Adds partitions."""
        self.instance.add_dynamic_partitions("repos", list(names))

    def load_samples(self) -> None:
        """The sample issues, for the night."""
        load_issues(self.pipeline.warehouse, [str(SAMPLES)], NIGHT)

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Runs what is asked for, here and now."""
        return dg.materialize(
            [asset for asset in self.definitions.assets or [] if isinstance(asset, dg.AssetsDefinition)],
            selection=dg.AssetSelection.assets(*(request.asset_selection or [])),
            instance=self.instance,
            resources=self.resources,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            run_config=request.run_config,
            raise_on_error=False,
        )

    def night(self) -> list[dg.RunRequest]:
        """What the schedule asks for."""
        return night_runs(NIGHT, self.instance.get_dynamic_partitions("repos"))

    def tick(self, sensor: str) -> dg.SensorResult:
        """Evaluates a sensor once, and does with the result what the daemon does; asks for no runs."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor),
            definitions=self.definitions,
            resources=self.resources,
            sensor_name=sensor,
        ) as context:
            told = self.definitions.resolve_sensor_def(sensor).evaluate_tick(context)
        self.cursors[sensor] = told.cursor
        for added in told.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions("repos", list(added.partition_keys))
        for event in told.asset_events:
            self.instance.report_runless_asset_event(event)
        self.runs += told.run_requests or []
        return dg.SensorResult(
            run_requests=told.run_requests,
            skip_reason=told.skip_message if not told.run_requests else None,
            cursor=told.cursor,
            asset_events=told.asset_events,
        )

    def go_on(self, seconds: float = 30.0) -> list[dg.ExecuteInProcessResult]:
        """Ticks and runs until nothing is in flight and nothing is asked for."""
        deadline, done = time.monotonic() + seconds, list[dg.ExecuteInProcessResult]()
        while time.monotonic() < deadline:
            requests = [
                request
                for sensor in ("collected_issues", "batch_monitor")
                for request in self.tick(sensor).run_requests or []
            ]
            done += [self.run(request) for request in requests]
            if not requests and not self._open():
                return done
        raise AssertionError("still not through")

    def _open(self) -> Sequence[object]:
        from batch_pipeline.ledger import jobs

        with self.pipeline.ledger.read() as db:
            return jobs.not_closed(db)

    def cells(self, asset: dg.AssetKey) -> set[str]:
        """The cells of an asset that are materialized."""
        return set(self.instance.get_materialized_partitions(asset))
