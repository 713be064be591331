from __future__ import annotations

import os

import psycopg
import pytest

from batch_pipeline_tests.scale.postgres import PASSWORD, PostgresServer

pytestmark = pytest.mark.scale


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        (row,) = connection.execute("SELECT count(*) FROM notes").fetchall()
    return row[0]


def test_what_is_committed_is_there_after_a_restart_and_after_a_crash(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.execute("INSERT INTO notes VALUES ('here')")
    postgres.restart()
    assert count(url) == 1
    postgres.kill()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)
    postgres.start_again()
    assert count(url) == 1
    postgres.drop(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_it_is_postgres_18_and_asks_for_the_password(postgres: PostgresServer) -> None:
    assert postgres.execute("SHOW server_version_num")[0][0] >= "180000"  # pyright: ignore[reportOperatorIssue] - text
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url().replace(":a%20", ":b%20"))
    assert PASSWORD not in postgres.url()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must step down to another user")
def test_it_does_not_run_as_root(postgres: PostgresServer) -> None:
    ((folder,),) = postgres.execute("SHOW data_directory")
    assert os.stat(str(folder)).st_uid != 0  # noqa: PTH116 - as text
