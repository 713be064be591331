"""What the tests of `deploy/` need: its files as they are read, and the servers that Celery wants."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from batch_pipeline_tests.scale.redis import NoRedis, RedisServer


@pytest.fixture(scope="session")
def redis() -> Generator[RedisServer]:
    """A server, started when the first test asks for it."""
    try:
        server = RedisServer.start()
    except NoRedis as why:
        pytest.skip(str(why))
    yield server
    server.stop()
