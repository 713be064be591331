"""Rows and a prompt in, a table of typed answers out, through the provider Batch APIs, at half the realtime price."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_pipeline.notebook import Batch

__all__ = ["Batch"]


def __getattr__(name: str) -> object:
    """`Batch`, imported when it is first asked for: whoever wants something else does not pay for it."""
    if name == "Batch":
        from batch_pipeline.notebook import Batch

        return Batch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
