"""How a run reports a cell: that it worked, or why it did not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from batch_pipeline.assets.cells import AGAIN, ATTEMPT, FAILED, Cell
from batch_pipeline.errors import PipelineError

Event = dg.AssetMaterialization | dg.AssetObservation | dg.MaterializeResult[Any] | dg.AssetCheckResult
Metadata = Mapping[str, dg.MetadataValue[Any] | str | int | float]


def made(key: dg.AssetKey, cell: Cell, metadata: Metadata, *, wide: bool) -> Event:
    """The cell is materialized.

    In a wide run a result would turn the whole range green; alone it is the step's output, so what is downstream
    in the same run goes on.
    """
    if not wide:
        return dg.MaterializeResult(asset_key=key, metadata=metadata)
    return dg.AssetMaterialization(key, partition=cell.key, metadata=metadata, tags=cell.tags)


def failed(
    context: dg.AssetExecutionContext, key: dg.AssetKey, cell: Cell, error: Exception, attempt: int
) -> Iterator[Event]:
    """The cell is not materialized, and this is why; what a person must correct is not asked for again by itself."""
    context.log.error("%s: %s", cell, error, exc_info=None if isinstance(error, PipelineError) else error)
    yield dg.AssetObservation(
        key,
        description=str(error),
        partition=cell.key,
        metadata={FAILED: str(error), AGAIN: not _is_for_a_person(error), ATTEMPT: attempt},
    )


def _is_for_a_person(error: Exception) -> bool:
    """Wrong usage, a missing key or price: to ask again by itself would meet it again."""
    return isinstance(error, PipelineError) and error.exit_code == 2
