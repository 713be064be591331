"""What a step takes: seconds, and CPU seconds of this process and of those that it waited for."""

from __future__ import annotations

import json
import os
import time
from types import TracebackType
from typing import Self


class Clock:
    """Measures a `with` block."""

    def __enter__(self) -> Self:
        self._began, self._cpu = time.perf_counter(), _cpu()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.seconds, self.cpu = time.perf_counter() - self._began, _cpu() - self._cpu

    def tell(self, done: object) -> None:
        """Prints what was done and what it took, for `bench.children`."""
        print(json.dumps({"done": done, "seconds": self.seconds, "cpu": self.cpu}), flush=True)  # noqa: T201 - a command


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
