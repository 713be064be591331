"""A process that is forked from one that has imported everything and opened nothing: 20 ms instead of 4 s of CPU."""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from batch_pipeline.batches.money.prices import PriceBook
from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.settings import ProviderName

CRASHED = 4

IMPORTED = (
    *("alembic.command", "duckdb", "pandas", "pyarrow.parquet", "jsonschema_rs", "sqlalchemy.dialects.sqlite"),
    *(
        "anthropic.resources.messages.batches",
        "openai.resources.batches",
        "openai.resources.files",
        "httpx2",
        "httpcore2",
        "truststore",
    ),
)
"""What the pipeline imports where it is used."""


def prepare(models: Mapping[ProviderName, str]) -> None:
    """Imports what forked processes will need, and looks up what models cost and how their tokens are counted."""
    for name in IMPORTED:
        importlib.import_module(name)
    for provider, model in models.items():
        PriceBook().tariff(provider, model)
        TokenCounter(model).count("a text")


def fork(step: Callable[[], int], crashes: Path) -> int:
    """Runs `step` in a process of its own, which ends with the code that it gives; returns the process id."""
    if pid := os.fork():
        return pid
    code = CRASHED
    try:
        code = step()
    except BaseException:  # noqa: BLE001 - a child of fork must not return into its parent's code
        crashes.mkdir(parents=True, exist_ok=True)
        (crashes / str(os.getpid())).write_text(traceback.format_exc())
    finally:
        os._exit(code)
