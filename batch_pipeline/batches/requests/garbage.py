"""Python's collector of cycles, kept out of the way."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def no_cycles() -> Generator[None]:
    """For work that makes many small objects and no cycles: the collector would look through all of them ever again.

    Measured on a plan of 50,000 requests: making its rows took four times as long with it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
