"""A server for the tests of a module, and one account of its own for each test."""

from __future__ import annotations

from collections.abc import Generator
from uuid import uuid4

import pytest

from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline_tests.local_server.account import Account


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    with start(LocalServerOptions(port=0, state_dir=tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture
def account(server: RunningServer) -> Generator[Account]:
    with Account(server, key=uuid4().hex) as fresh:
        yield fresh
        fresh.order_instead()
