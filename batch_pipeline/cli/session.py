"""What a verb opens, and gives back."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batch_pipeline.cli.log import set_up_log

if TYPE_CHECKING:
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.settings import Settings


def read_settings() -> Settings:
    """The settings, with the log as they want it.

    Raises:
        InvalidSettings: A variable has a wrong value.
    """
    from batch_pipeline.settings import load_settings

    settings = load_settings()
    set_up_log(settings)
    return settings


@contextmanager
def opened() -> Generator[Pipeline]:
    """The pipeline of the environment, closed at the end of the block."""
    settings = read_settings()
    from batch_pipeline.batches.pipeline import Pipeline

    pipeline = Pipeline(settings)
    try:
        yield pipeline
    finally:
        pipeline.close()
