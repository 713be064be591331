"""Runs at the local server, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline.settings import Settings
from batch_pipeline_tests.live.assumptions import Name
from batch_pipeline_tests.live.findings import Seen, findings
from batch_pipeline_tests.live.options import Options
from batch_pipeline_tests.live.run import run
from batch_pipeline_tests.live.state import State

KEY = "sk-marked-3Fj8w2Xc6Pz1"
QUICK = Options(samples=1, posts_after=(0.0,), every=0.02, longest=5.0, limit=20.0)


class Runs:
    """Runs in one data folder, one after the other."""

    def __init__(self, data_dir: Path, server: RunningServer) -> None:
        self.folder = data_dir / "live"
        self.said: list[str] = []
        self._server = server
        self._data_dir = data_dir

    def __call__(self, options: Options = QUICK, model: str = "gpt-6-luna", key: str | None = KEY) -> int:
        """Runs once; the exit code."""
        given = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": self._server.url, "data_dir": self._data_dir}
        return run(Settings.model_validate(given), model, options, self.said.append)

    @property
    def state(self) -> State:
        """The samples of the newest report."""
        (path, *_) = sorted(self.folder.glob("20*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        return State.model_validate(json.loads(path.read_bytes())["run"])

    def seen(self, name: Name, wait_seconds: float = 600.0) -> Seen:
        """What the newest report's samples say of an assumption."""
        return next(f.seen for f in findings(self.state, wait_seconds) if f.assumption.name == name)

    @property
    def under_way(self) -> bool:
        """Whether another run has something to go on with."""
        return (self.folder / "state.json").exists()


@pytest.fixture
def live(tmp_path: Path, server: RunningServer) -> Runs:
    return Runs(tmp_path / "data", server)
