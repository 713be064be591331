from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from batch_pipeline import tasks as package
from batch_pipeline.errors import UnknownTask
from batch_pipeline.tasks.registry import Tasks, load_tasks

TASK = """
from batch_pipeline.tasks import BatchTask

{name} = BatchTask(name="{name}", records="FROM issues", prompt="{{title}}", answer=str)
"""

Load = Callable[..., Tasks]

OURS = frozenset(load_tasks().by_name)
"""The project's own tasks."""


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Load]:
    """Loads the tasks, with these files beside the project's own."""
    before = set(sys.modules)

    def load(**files: str) -> Tasks:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        load_tasks.cache_clear()
        return load_tasks()

    yield load
    load_tasks.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith(f"{package.__name__}.") and hasattr(package, name.rpartition(".")[2]):
            del sys.modules[name]
            delattr(package, name.rpartition(".")[2])


def test_the_projects_own_tasks_load() -> None:
    tasks = load_tasks()
    assert {"issue_kind", "issue_summary", "issue_work", "product_labeling"} <= OURS
    assert not tasks.failed


def test_tasks_are_loaded_once() -> None:
    assert load_tasks() is load_tasks()


def test_hyphens_serve_as_underscores() -> None:
    assert load_tasks().get("issue-kind") is load_tasks().by_name["issue_kind"]


def test_a_file_that_is_added_is_a_task_that_is_added(load: Load) -> None:
    assert load(mood=TASK.format(name="mood")).get("mood").name == "mood"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def (", "SyntaxError: invalid syntax"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (TASK.format(name="batches"), "InvalidTask: `batches` is the name of one of the project's own tables"),
        (TASK.format(name="issue_kind"), "ValueError: task `issue_kind` is in another file too"),
    ],
)
def test_a_file_that_does_not_load_is_named_and_the_others_work(load: Load, text: str, why: str) -> None:
    tasks = load(zz_broken=text, zz_whole=TASK.format(name="whole"))
    assert set(tasks.by_name) == {*OURS, "whole"}
    assert list(tasks.failed) == ["tasks/zz_broken.py"]
    assert tasks.failed["tasks/zz_broken.py"].startswith(why)


def test_an_unknown_task_is_told_with_those_that_are_known_and_those_that_did_not_load(load: Load) -> None:
    with pytest.raises(UnknownTask) as caught:
        load(zz_broken="1 / 0").get("mood")
    assert str(caught.value) == (
        f"There is no task `mood`. The tasks are: {', '.join(sorted(OURS))}. "
        "`tasks/zz_broken.py` did not load: ZeroDivisionError: division by zero."
    )


def test_a_file_may_make_a_task_out_of_another_files_task(load: Load) -> None:
    text = """
        from dataclasses import replace
        from batch_pipeline.tasks.issue_kind import issue_kind
        again = issue_kind
        stricter = replace(issue_kind, name="stricter_kind", system="Be strict.")
    """
    tasks = load(a_stricter="\n".join(line.strip() for line in text.splitlines()))
    assert set(tasks.by_name) == {*OURS, "stricter_kind"}
    assert not tasks.failed


def test_a_name_that_is_nearly_right_is_shown_the_right_one() -> None:
    with pytest.raises(UnknownTask, match=r"There is no task `isue-kind`. Did you mean `issue_kind`\? The tasks are: "):
        load_tasks().get("isue-kind")
