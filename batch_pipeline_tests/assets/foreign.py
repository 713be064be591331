"""A project of somebody else's, with our assets in it: its own records, partitions and definitions."""

from collections.abc import Sequence
from typing import Literal

import dagster as dg
from pydantic import BaseModel

from batch_pipeline.assets import build_batch_assets
from batch_pipeline.automation.sensors import build_batch_monitor
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.resources import PipelineResource, WarehouseResource
from batch_pipeline.tasks import BatchTask

SHELVES = dg.StaticPartitionsDefinition(["fiction", "history"])


class Mood(BaseModel):
    """How a book sounds."""

    label: Literal["glad", "sad"]


mood = BatchTask(name="book_mood", records="FROM books", prompt="{title}", answer=Mood, partitions=None)


@dg.asset
def books(warehouse: WarehouseResource) -> None:
    """Three books on two shelves."""
    with warehouse.get_connection() as connection:
        connection.execute("CREATE OR REPLACE TABLE books (record_id VARCHAR, org VARCHAR, title VARCHAR)")
        rows = [["b1", "fiction", "Emma"], ["b2", "fiction", "Persuasion"], ["b3", "history", "The Guns of August"]]
        connection.executemany("INSERT INTO books VALUES (?, ?, ?)", rows)


def foreign_definitions(partitions_def: dg.PartitionsDefinition[str] | None = SHELVES) -> dg.Definitions:
    """Its definitions."""
    moods: Sequence[dg.AssetsDefinition] = build_batch_assets(
        mood, deps=[books], partitions_def=partitions_def, select=lambda shelf: Selection(org=shelf)
    )
    return dg.Definitions(
        assets=[books, *moods],
        sensors=[build_batch_monitor(moods, name="book_monitor")],
        resources={"pipeline": PipelineResource(), "warehouse": WarehouseResource()},
        executor=dg.in_process_executor,
    )


def foreign_job() -> dg.JobDefinition:
    """Its one job, without partitions, as a process that runs it finds it."""
    everything = dg.define_asset_job("everything")  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
    merged = dg.Definitions.merge(foreign_definitions(partitions_def=None), dg.Definitions(jobs=[everything]))
    return merged.resolve_job_def("everything")


defs = foreign_definitions()
"""What a code location of this module has."""
