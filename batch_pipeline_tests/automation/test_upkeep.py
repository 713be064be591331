from __future__ import annotations

from batch_pipeline.automation.upkeep import NAME, build_upkeep, warehouse_upkeep
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.settings import Settings
from batch_pipeline_tests.project import ephemeral


def test_a_lake_is_kept_up_four_hours_after_the_night_and_a_file_never() -> None:
    lake = Settings.model_validate(
        {"warehouse_url": "ducklake:postgresql://db/warehouse", "night_hour": 22, "timezone": "Europe/Berlin"}
    )
    (schedule,) = build_upkeep(lake)
    assert (schedule.name, schedule.cron_schedule, schedule.execution_timezone) == (NAME, "30 2 * * *", "Europe/Berlin")
    assert build_upkeep(Settings()) == []


def test_the_job_does_nothing_to_a_file(pipeline: Pipeline) -> None:
    with ephemeral() as instance:
        done = warehouse_upkeep.execute_in_process(instance=instance, resources={"pipeline": pipeline})
    assert done.success
    assert pipeline.warehouse.version() == 0
