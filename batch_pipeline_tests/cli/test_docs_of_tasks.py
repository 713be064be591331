"""What the pages on kinds of work show works as it is shown."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

from batch_pipeline.settings import project_root
from batch_pipeline.tasks import BatchTask
from batch_pipeline_tests.cli.conftest import Command

PAGES = ("labels", "text", "roles", "again")


def blocks(page: str, mark: str, language: str) -> list[str]:
    """The code blocks of a page that stand below this mark."""
    text = (project_root() / "docs" / "tasks" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"<!-- {mark} -->\n```{language}\n(.*?)```", text, re.DOTALL)


def commands(page: str) -> list[str]:
    """The calls of a page, one by one; a job's id is asked for with `JOB=$(…)`."""
    lines = "".join(blocks(page, "runnable", "sh"))
    return [call.strip() for call in re.split(r"^(?=batch-pipeline |JOB=)", lines, flags=re.MULTILINE) if call.strip()]


def test_their_commands_run_one_after_the_other(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "issues").parent.mkdir(exist_ok=True)
    (tmp_path / "data" / "issues").symlink_to(project_root() / "data" / "issues")
    monkeypatch.chdir(tmp_path)
    job, told = "", ""
    for call in (call for page in PAGES for call in commands(page)):
        asks = re.match(r"JOB=\$\((.*?) \| python3 ", call)
        words = shlex.split((asks[1] if asks else call).replace("$JOB", job))
        assert words[0] == "batch-pipeline"
        ran = command(*words[1:])
        assert (ran.code, ran.err) == (0, ""), call
        told += ran.out
        job = ran.json["job_id"] if asks else job
    assert told.count("3 answered") == 1
    assert told.count("2 answered") == 2
    assert "Nothing to do: no record of `issue_kind` that failed so" in told


@pytest.mark.parametrize("page", ["labels", "text", "roles"])
def test_their_tasks_are_tasks(page: str, tmp_path: Path) -> None:
    [source] = blocks(page, "task", "python")
    path = tmp_path / f"{page}_task.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(f"docs_{page}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    (task,) = [value for value in vars(module).values() if isinstance(value, BatchTask)]
    assert task.needs == ("record_id", "title", "body")
    assert [task.prompt_version(variant) for variant in task.asked_as]
    assert len(task.asked_as) == (2 if page == "roles" else 1)
