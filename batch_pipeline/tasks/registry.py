"""The project's tasks: every file of this folder that holds a `BatchTask`."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

import batch_pipeline.tasks as package
from batch_pipeline.errors import UnknownTask
from batch_pipeline.tasks.task import BatchTask

_OURS = {"content", "media", "registry", "schema", "snapshot", "task"}


@dataclass(frozen=True)
class Tasks:
    """The tasks by name, and for each file that did not load, why."""

    by_name: dict[str, BatchTask]
    failed: dict[str, str]

    def get(self, name: str) -> BatchTask:
        """The task of that name; hyphens serve as underscores.

        Raises:
            UnknownTask: There is none; says which there are, and which did not load.
        """
        wanted = name.replace("-", "_")
        task = self.by_name.get(wanted)
        if task is None:
            near = get_close_matches(wanted, self.by_name, n=1, cutoff=0.75)
            meant = f" Did you mean `{near[0]}`?" if near else ""
            known = ", ".join(self.by_name) or "none"
            broken = "".join(f" `{file}` did not load: {why}." for file, why in self.failed.items())
            raise UnknownTask(f"There is no task `{name}`.{meant} The tasks are: {known}.{broken}")
        return task


@cache
def load_tasks() -> Tasks:
    """Imports each file of the folder once; one that fails is named, and the others work."""
    by_name: dict[str, BatchTask] = {}
    failed: dict[str, str] = {}
    for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
        if module in _OURS:
            continue
        try:
            for task in _tasks_in(module):
                if by_name.get(task.name, task) is not task:  # a file may import another's task
                    raise ValueError(f"task `{task.name}` is in another file too")
                by_name[task.name] = task
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's file raises, the others must work
            failed[f"tasks/{module}.py"] = f"{type(error).__name__}: {error}"
    return Tasks(by_name, failed)


def _tasks_in(module: str) -> list[BatchTask]:
    found = vars(importlib.import_module(f"{package.__name__}.{module}")).values()
    return [value for value in found if isinstance(value, BatchTask)]
