"""Lakes of the tests' own: a catalogue in the tests' Postgres, the data in a folder or in the tests' object storage."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.locations import located
from batch_pipeline_tests.scale.object_storage import ObjectStorage
from batch_pipeline_tests.scale.postgres import PostgresServer

_made: dict[int, str] = {}
"""By the port of a server, a lake with nothing in it: a copy takes a tenth of the time that its tables take."""


def new_lake(server: PostgresServer, data: Path | ObjectStorage, stack: ExitStack) -> dict[str, object]:
    """A lake with its tables and nothing in them, until the stack is closed; the settings that name it.

    Args:
        server: Where the catalogue is.
        data: The folder, or the object storage; what a process needs to find that is in the environment until then.
        stack: Gives all of it back.
    """
    if isinstance(data, ObjectStorage):
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in data.variables.items():
            environment.setenv(name, value)
        place = f"s3://{data.new_bucket()}/a lake/"
    else:
        place = f"{data}/"
    catalogue = _copy(server, place)
    stack.callback(server.drop, catalogue)
    url = f"ducklake:{catalogue}"
    stack.callback(Warehouse(located(url, place)).close)
    return {"warehouse_url": url, "warehouse_data": place}


def _copy(server: PostgresServer, place: str) -> str:
    """What is in the template lies in its catalogue alone, so no file needs to be copied."""
    import psycopg

    name = f"lake_{uuid4().hex[:16]}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {_template(server)}")
    url = server.url(name)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE ducklake_metadata SET value = %s WHERE key = 'data_path'", [place])
    return url


def _template(server: PostgresServer) -> str:
    if server.port not in _made:
        url = server.new_database()
        with TemporaryDirectory() as folder:
            warehouse = Warehouse(located(f"ducklake:{url}", folder))
            with warehouse.read():
                pass
            warehouse.close()
        _made[server.port] = url
    return _made[server.port].rpartition("/")[2]
