"""What many tests need: a local server, and a pipeline of one's own that talks to it."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline.settings import Settings
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.scale.fixtures import Place, ledger_url, place, postgres, pytest_generate_tests
from batch_pipeline_tests.scale.object_storage import object_storage

__all__ = ["ledger_url", "object_storage", "place", "postgres", "pytest_generate_tests"]


def pytest_configure() -> None:
    """Where tests are started in the background, signals are ignored, and the programs that they start inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of whoever runs it."""
    import os

    for name in list(os.environ):
        if name.startswith(("BATCH_PIPELINE_", "OPENAI_", "ANTHROPIC_", "GITHUB_", "DAGSTER_", "AWS_", "PG")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_log_of_another_test() -> Generator[None]:
    """A verb that was asked to say more says so for its own test only."""
    yield
    logging.getLogger("batch_pipeline").setLevel(logging.NOTSET)


@pytest.fixture
def server(tmp_path: Path) -> Generator[RunningServer]:
    """A server with the simulated engine, on a free port."""
    with start(LocalServerOptions(port=0, state_dir=tmp_path / "server")) as running:
        yield running


@pytest.fixture
def books(server: RunningServer) -> Books:
    """The server's own account of what it was asked to do, and the faults that can be ordered from it."""
    return Books(server)


@pytest.fixture
def make_pipeline(tmp_path: Path, server: RunningServer, place: Place) -> Generator[Callable[..., Pipeline]]:
    """Makes a pipeline at the server, in the test's place, with settings of one's own."""
    made: list[Pipeline] = []

    def make(data_dir: Path = tmp_path / "data", **settings: object) -> Pipeline:
        values = {"local_url": server.url, "create_wait_seconds": 0.0, **place.settings(data_dir), **settings}
        made.append(Pipeline(Settings.model_validate({"data_dir": data_dir, **values})))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.close()


@pytest.fixture
def pipeline(make_pipeline: Callable[..., Pipeline]) -> Pipeline:
    """A pipeline with nothing in it."""
    return make_pipeline()
