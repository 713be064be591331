"""A process that is forked from one that has imported everything and opened nothing: 20 ms instead of 1.2 s."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path

CRASHED = 4


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
