"""What docs/providers.md shows works as it is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline.settings import PREFIX, Settings, project_root

PAGE = (project_root() / "docs" / "providers.md").read_text(encoding="utf-8")


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
    blocks: list[str] = re.findall(r"<!-- runnable -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    script = "set -eu\n" + "".join(blocks).replace("http://127.0.0.1:8765", server.root)
    ran = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "1 batch submitted to anthropic (claude-haiku-5-5)" in ran.stdout
    assert re.search(r"anthropic +claude-haiku-5-5 +5", ran.stdout)
    assert re.search(r"openai +our-luna +4", ran.stdout)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"batch-pipeline ([a-z][a-z-]*)", PAGE))))
def test_its_verbs_are_there(command: str) -> None:
    from batch_pipeline.cli import main

    assert main([command, "--help"]) == 0


@pytest.mark.parametrize("name", sorted(set(re.findall(rf"\b(?:{PREFIX}|OPENAI_|ANTHROPIC_)[A-Z_]+", PAGE))))
def test_its_settings_are_there(name: str) -> None:
    assert name.removeprefix(PREFIX).lower() in Settings.model_fields
