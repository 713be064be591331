"""The whole chain with the ledger in Postgres and the warehouse on DuckLake: other URLs, and the same verbs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest

from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.cli.test_operations import POLL, submitted
from batch_pipeline_tests.scale.lakes import new_lake
from batch_pipeline_tests.scale.object_storage import ObjectStorage
from batch_pipeline_tests.scale.postgres import PASSWORD, PostgresServer

pytestmark = pytest.mark.scale


@pytest.fixture(params=["disk", "object storage"])
def servers(
    request: pytest.FixtureRequest, settings: Callable[..., None], postgres: PostgresServer, tmp_path: Path
) -> Generator[None]:
    """The settings name a ledger and a lake of the test's own."""
    data: Path | ObjectStorage = tmp_path / "lake"
    if request.param != "disk":
        data = request.getfixturevalue("object_storage")
    with ExitStack() as stack:
        lake = new_lake(postgres, data, stack)
        ledger = postgres.new_database()
        stack.callback(postgres.drop, ledger)
        settings(ledger_url=ledger, **lake)
        yield


@pytest.mark.usefixtures("servers")
def test_a_job_is_planned_sent_collected_asked_for_and_exported(
    command: Command, issue_files: Path, tmp_path: Path
) -> None:
    job = submitted(command, issue_files)
    assert command("collect", job, *POLL).code == 0
    labels = command("query", "SELECT record_id, label FROM issue_kind_latest ORDER BY 1", "--json").json
    assert [row["record_id"] for row in labels] == [f"acme/orbit#{n}" for n in (1, 2, 3)]
    file = tmp_path / "labels.parquet"
    assert command("export", "issue-kind", "--format", "parquet", "--output", file).code == 0
    exported = duckdb.read_parquet(str(file)).project("record_id, label").order("record_id").fetchall()
    assert exported == [(row["record_id"], row["label"]) for row in labels]
    assert command("submit", "issue-kind").out.startswith("Nothing to do")
    told = command("prune", "--older-than", "0", "--json").json
    assert (told["jobs"], told["warehouse"]["deleted"]) == (1, 0)
    assert command("export", "issue-kind", "--format", "jsonl").out.count("\n") == 3


@pytest.mark.usefixtures("servers")
def test_issues_are_embedded_and_near_each_other(command: Command, issue_files: Path) -> None:
    command("issues", "load", issue_files)
    job = command("submit", "issue-embeddings", "--json").json["job_id"]
    assert command("collect", job, *POLL).code == 0
    near = command("similar", "acme/orbit#1", "--json").json
    assert {row["record_id"] for row in near["neighbours"]} == {"acme/orbit#2", "acme/orbit#3"}
    assert command("query", "SELECT count(*) FROM issue_embeddings_duplicates").code == 0


@pytest.mark.usefixtures("servers")
def test_reports_and_the_doctor_tell_of_it_without_a_password(
    command: Command, issue_files: Path, tmp_path: Path
) -> None:
    job = submitted(command, issue_files)
    command("collect", job, *POLL)
    page = tmp_path / "report.html"
    assert command("report", "--html", page).code == 0
    assert "issue_kind" in page.read_text()
    looked = {found["what"]: found for found in command("doctor", "--json").json}
    assert looked["warehouse"]["level"] == "ok"
    assert "ducklake:postgresql://" in looked["warehouse"]["says"]
    for verb in (["doctor"], ["status"], ["cost"], ["query", "FROM duckdb_databases()"]):
        ran = command(*verb)
        assert ran.code == 0 or verb == ["doctor"], ran.err  # which finds the tests' Postgres too quick to be safe
        assert PASSWORD not in ran.out + ran.err


@pytest.mark.usefixtures("servers")
def test_while_postgres_is_away_a_verb_says_so(command: Command, postgres: PostgresServer) -> None:
    assert command("query", "SELECT 1").code == 0
    postgres.halt()
    try:
        ran = command("query", "SELECT 1")
    finally:
        postgres.start_again()
    assert ran.code == 1
    assert "can't be reached" in ran.sentence
    assert PASSWORD not in ran.sentence
