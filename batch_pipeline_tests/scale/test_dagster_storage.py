"""Dagster's own storage on Postgres: what it is to be called by, and what happens otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEventType
from sqlalchemy.exc import ProgrammingError

from batch_pipeline_tests.scale.postgres import PostgresServer

pytestmark = pytest.mark.scale

MakeInstance = Callable[[str], dg.DagsterInstance]


@dg.asset
def counted() -> int:
    return 7


@pytest.fixture
def make_instance(postgres: PostgresServer, tmp_path: Path) -> Generator[MakeInstance]:
    url = postgres.new_database()
    made: list[dg.DagsterInstance] = []

    def make(scheme: str) -> dg.DagsterInstance:
        storage = {"postgres": {"postgres_url": url.replace("postgresql", scheme, 1)}}
        (tmp_path / "dagster.yaml").write_text(json.dumps({"storage": storage, "telemetry": {"enabled": False}}))
        made.append(dg.DagsterInstance.from_config(str(tmp_path)))
        return made[-1]

    yield make
    for instance in made:
        instance.dispose()
    postgres.drop(url)


def test_runs_events_and_schedules_are_kept_by_psycopg2(make_instance: MakeInstance) -> None:
    instance = make_instance("postgresql+psycopg2")
    run_id = dg.materialize([counted], instance=instance).run_id
    again = make_instance("postgresql+psycopg2")
    run = again.get_run_by_id(run_id)
    assert run is not None
    assert run.is_success
    (event,) = again.fetch_materializations(dg.AssetKey("counted"), limit=1).records
    assert event.run_id == run_id
    told = {record.event_log_entry.dagster_event_type for record in again.get_records_for_run(run_id).records}
    assert {DagsterEventType.RUN_SUCCESS, DagsterEventType.STEP_SUCCESS} <= told
    again.add_dynamic_partitions("repos", ["acme/web"])
    assert instance.get_dynamic_partitions("repos") == ["acme/web"]
    assert again.all_instigator_state() == []  # the storage of schedules and sensors answers


def test_with_psycopg_3_no_run_is_stored(make_instance: MakeInstance) -> None:
    """The reason for psycopg2: `NOTIFY` takes no parameter, and psycopg 3 would send one."""
    with pytest.raises(ProgrammingError, match="NOTIFY"):
        dg.materialize([counted], instance=make_instance("postgresql+psycopg"))
