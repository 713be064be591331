"""What the README shows works as it is shown, in a shell, in a checkout with the user's own task."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.pages import ROOT, blocks, script


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder like the checkout, in which a task can be saved."""
    tasks = tmp_path / "checkout" / "batch_pipeline" / "tasks"
    tasks.mkdir(parents=True)
    for place in (tasks, tasks.parent, tasks.parent.parent):
        for path in (ROOT / place.relative_to(tmp_path / "checkout")).iterdir():
            if path.name not in {"batch_pipeline", "tasks", "var"} and not path.name.startswith("."):
                (place / path.name).symlink_to(path)
    return tmp_path / "checkout"


@pytest.mark.timeout(300)
def test_its_commands_run_one_after_the_other(server: RunningServer, checkout: Path) -> None:
    (task,) = blocks("README.md", "python")
    (checkout / "batch_pipeline" / "tasks" / f"{task.mark.removeprefix('task: ')}.py").write_text(task.text)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
        "BATCH_PIPELINE_DATA_DIR": str(checkout / "var"),
        "BATCH_PIPELINE_LOCAL_URL": server.url,
        "BATCH_PIPELINE_CREATE_WAIT_SECONDS": "0",
        "OPENAI_BASE_URL": server.url,
    }
    shown = "set -eu\n" + script("README.md").replace("sk-…", "sk-none")
    ran = subprocess.run(
        ["sh", "-c", shown], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert "12 rows of 1 file in the table `reviews`" in ran.stdout
    assert "review_mood: good" in ran.stdout
    assert "12 records, 12 answered." in ran.stdout
    assert re.search(r"^r12 +(happy|unhappy|mixed) +\w+ +Half the price", ran.stdout, re.MULTILINE)
    assert "Model     gpt-6-luna at openai" in ran.stdout
    assert "1 batch submitted to openai (gpt-6-luna)" in ran.stdout
