"""The nightly schedule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from batch_pipeline.automation.schedules import night_runs
from batch_pipeline.definitions import build_definitions

MORNING = datetime(2026, 11, 21, 2, tzinfo=UTC)
NIGHT = date(2026, 11, 20)


@dataclass(frozen=True)
class Night:
    """What a tick came to."""

    requests: list[dg.RunRequest]
    skipped: str


def tick(*repos: str) -> Night:
    definitions = build_definitions()
    with dg.instance_for_test() as instance:  # a schedule wants one that it can open anew
        instance.add_dynamic_partitions("repos", list(repos))
        with (
            dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=MORNING,
                repository_def=definitions.get_repository_def(),
            ) as context,
            dg.partition_loading_context(dynamic_partitions_store=instance),
        ):
            told = definitions.resolve_schedule_def("nightly").evaluate_tick(context)
        return Night(list(told.run_requests or []), told.skip_message or "")


def test_a_night_is_one_run_over_the_repositories_in_the_order_in_which_they_were_added() -> None:
    (request,) = tick("z/z", "a/a", "m/m").requests
    assert request.tags["dagster/asset_partition_range_start"] == "2026-11-20|z/z"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-11-20|m/m"
    assert request.asset_selection == [dg.AssetKey("issues")]


def test_a_night_of_one_repository_is_its_cell() -> None:
    (request,) = tick("z/z").requests
    assert request.partition_key == "2026-11-20|z/z"


def test_very_many_repositories_are_several_runs() -> None:
    assert len(night_runs(NIGHT, [f"a/{number}" for number in range(450)])) == 3


def test_without_repositories_it_says_how_to_get_some() -> None:
    assert "BATCH_PIPELINE_REPOS" in tick().skipped


def test_it_can_be_turned_off_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_NIGHTLY", "false")
    assert "BATCH_PIPELINE_NIGHTLY" in tick("z/z").skipped


def test_nights_before_the_first_one_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_FIRST_NIGHT", "2026-11-21")
    assert "BATCH_PIPELINE_FIRST_NIGHT" in tick("z/z").skipped
