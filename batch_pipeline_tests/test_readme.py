"""What the README shows works as it is shown."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline.settings import project_root
from batch_pipeline.tasks import BatchTask

README = (project_root() / "README.md").read_text(encoding="utf-8")


def blocks(mark: str, language: str) -> list[str]:
    """The code blocks that stand below this mark."""
    return re.findall(rf"<!-- {mark} -->\n```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.timeout(300)
def test_its_commands_run_one_after_the_other(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(project_root() / "data")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "BATCH_PIPELINE_DATA_DIR": str(tmp_path / "var"),
        "BATCH_PIPELINE_LOCAL_URL": server.url,
        "BATCH_PIPELINE_CREATE_WAIT_SECONDS": "0",
    }
    script = "set -eu\n" + "".join(blocks("runnable", "sh"))
    ran = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Dry run of issue_kind" in ran.stdout
    assert "5 answers written to answers" in ran.stdout
    assert "tessaplot_issue_873_issue-kind.json" in ran.stdout


def test_its_task_is_a_task(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    [source] = blocks("task", "python")
    (tmp_path / "readme_task.py").write_text(source)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    task = importlib.import_module("readme_task").urgency
    assert isinstance(task, BatchTask)
    assert task.columns == ("title", "body")
    assert list(task.answer_columns) == ["reason", "when"]
    assert len(source.splitlines()) <= 40


@pytest.mark.parametrize("command", sorted(set(re.findall(r"batch-pipeline ([a-z][a-z-]*)", README))))
def test_its_verbs_are_there(command: str) -> None:
    from batch_pipeline.cli import main

    assert main([command, "--help"]) == 0


def test_its_make_targets_are_there() -> None:
    makefile = (project_root() / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE)):
        assert f"\n{target}:" in makefile
