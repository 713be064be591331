"""DuckDB and pyarrow without pandas, where no value can be one of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from inspect import currentframe
from types import FrameType, ModuleType

_ASKING = ("duckdb", "pyarrow", "batch_pipeline.warehouse", "batch_pipeline.batches")


@contextmanager
def without_pandas() -> Generator[None]:
    """For work that binds and writes plain values: they are looked at without pandas.

    Both libraries import it at the first value that they are given, to see whether it is one of pandas' own, and do
    well where it is not installed: so it is not, for this thread and for them alone. Measured: 0.35 s of CPU in each
    process that plans or collects. Whoever else imports it in the block gets it, and afterwards they do too.
    """
    if not any(isinstance(finder, _NotForThem) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NotForThem())
    _without.depth = getattr(_without, "depth", 0) + 1
    try:
        yield
    finally:
        _without.depth -= 1


class _Depth(threading.local):
    depth: int


_without = _Depth()


class _NotForThem(MetaPathFinder):
    """Finds nothing, and stops the search for pandas where it is only looked for."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname == "pandas" and getattr(_without, "depth", 0) and _importer().startswith(_ASKING):
            raise ModuleNotFoundError("No module named 'pandas' is wanted here", name="pandas")
        return None


def _importer() -> str:
    """The module whose code imports; what a compiled library imports is imported by the code that called it."""
    frame: FrameType | None = currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name != __name__ and not name.startswith(("importlib", "_frozen_importlib")):
            return name
        frame = frame.f_back
    return ""
