"""Batches of one's own, at a local server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import pandas as pd
import pytest
from pydantic import BaseModel

from batch_pipeline import Batch
from batch_pipeline.local_server import RunningServer
from batch_pipeline.settings import Settings

MakeBatch = Callable[..., Batch]


class Mood(BaseModel):
    """How a note sounds."""

    label: Literal["glad", "sad"]


def rows_in(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, column to value."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))  # pyright: ignore[reportUnknownMemberType] - pandas


def types_in(frame: pd.DataFrame) -> dict[str, str]:
    """The type of each column."""
    dtypes = cast("dict[str, object]", frame.dtypes.to_dict())  # pyright: ignore[reportUnknownMemberType] - pandas
    return {name: str(dtype) for name, dtype in dtypes.items()}


@pytest.fixture
def settings(tmp_path: Path, server: RunningServer) -> Settings:
    """Those of a folder of its own."""
    values = {"local_url": server.url, "data_dir": tmp_path / "data", "create_wait_seconds": 0.0}
    return Settings.model_validate(values)


@pytest.fixture
def make_batch(settings: Settings) -> MakeBatch:
    """Makes a batch of so many notes; each call is as another run of the same program."""

    def make(count: int = 3, name: str = "notes", **options: object) -> Batch:
        given = {"answer": Mood, "settings": settings, **options}
        batch = Batch(name, **given)  # pyright: ignore[reportArgumentType] - parameters of Batch
        return batch.add_many([{"id": n, "text": f"note {n}"} for n in range(count)], record_id="id")

    return make
