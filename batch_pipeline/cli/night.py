"""A night in Dagster, asked for as its schedule does, and followed until everything is planned."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from batch_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from batch_pipeline.cli.programs import Programs


class Night:
    """The cells of one night, and the tasks that follow from them.

    Args:
        instance: Where the daemon works.
        night: The day that ended.
        repos: The repositories.
        tasks: The tasks' names.
    """

    def __init__(self, instance: dg.DagsterInstance, night: date, repos: Sequence[str], tasks: Sequence[str]) -> None:
        self._instance = instance
        self._tasks = tasks
        self._began = datetime.now(UTC)
        instance.add_dynamic_partitions("repos", list(repos))
        added = instance.get_dynamic_partitions("repos")
        self.cells = [f"{night}|{repo}" for repo in added if repo in repos]

    def launch(self, running: Programs, workspace: Path) -> None:
        """Asks the daemon for the run that the schedule asks for: `issues`, over all cells of the night.

        Raises:
            PipelineError: Dagster refused it.
        """
        tags = {
            "dagster/asset_partition_range_start": self.cells[0],
            "dagster/asset_partition_range_end": self.cells[-1],
        }
        command = [sys.executable, "-m", "dagster", "job", "launch", "-w", str(workspace), "-j", "collect_issues"]
        asked = subprocess.run(
            [*command, "--tags", json.dumps(tags)],
            env=dict(running.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode:
            last = asked.stderr.strip().splitlines()[-1:] or ["it did not say why"]
            raise PipelineError(f"Dagster did not take the night's run: {last[0]}")

    @property
    def is_planned(self) -> bool:
        """Whether every cell was planned for every task since this night was asked for.

        Raises:
            PipelineError: A run has failed.
        """
        import dagster as dg

        self._must_not_have_failed()
        for task in self._tasks:
            requests = dg.AssetKey([task, "requests"])
            wanted = dg.AssetRecordsFilter(asset_key=requests, after_timestamp=self._began.timestamp())
            found = self._instance.fetch_materializations(wanted, limit=1_000).records
            if not {record.partition_key for record in found} >= set(self.cells):
                return False
        return True

    @property
    def is_at_rest(self) -> bool:
        """Whether no run of the tasks is under way: one that is ended in the middle would not report its cells."""
        import dagster as dg

        under_way = [
            dg.DagsterRunStatus.QUEUED,
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
        ]
        runs = self._instance.get_runs(filters=dg.RunsFilter(statuses=under_way))
        return not any(key.path[0] in self._tasks for run in runs for key in run.asset_selection or ())

    def _must_not_have_failed(self) -> None:
        import dagster as dg

        wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], created_after=self._began)
        if failed := self._instance.get_runs(filters=wanted, limit=1):
            about = ", ".join(sorted(key.to_user_string() for key in failed[0].asset_selection or ()))
            raise PipelineError(f"Dagster's run {failed[0].run_id} of {about or failed[0].job_name} failed.")
