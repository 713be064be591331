"""Completion: verbs, tasks and jobs, as a shell asks for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from batch_pipeline.cli.completion import VARIABLE, job_ids, task_names
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.cli.test_operations import POLL, submitted
from batch_pipeline_tests.command import COMMAND, environment


def completed(tmp_path: Path, *words: str) -> list[str]:
    """What bash would offer for the last of the words."""
    line = " ".join(["batch-pipeline", *words])
    given = environment(tmp_path / "data", **{VARIABLE: "complete_bash", "COMP_WORDS": line, "COMP_CWORD": len(words)})
    return subprocess.run(COMMAND, env=given, capture_output=True, text=True, check=True).stdout.split()


def test_verbs_tasks_and_jobs_are_completed(command: Command, issue_files: Path, tmp_path: Path) -> None:
    job = submitted(command, issue_files)
    command("collect", job, *POLL)
    assert completed(tmp_path, "comp") == ["completion"]
    assert completed(tmp_path, "submit", "issue-k") == ["issue-kind"]
    assert completed(tmp_path, "watch", "issue_k") == [job]


def test_all_tasks_are_offered_in_either_spelling() -> None:
    names = set(load_tasks().by_name)
    assert {name.replace("-", "_") for name in task_names("")} == names
    assert set(task_names("issue_")) == {name for name in names if name.startswith("issue_")}


def test_attempts_and_the_folder_of_markers_are_no_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_DATA_DIR", str(tmp_path))
    assert job_ids("") == []
    for name in ("mood-1", "mood-1-again2", "sends", "other-1"):
        (tmp_path / "batches" / name).mkdir(parents=True)
    assert sorted(job_ids("")) == ["mood-1", "other-1"]
    assert job_ids("mo") == ["mood-1"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_for_each_shell(offline: Command, shell: str) -> None:
    ran = offline("completion", shell)
    assert VARIABLE in ran.out
    assert offline("completion", shell, "--json").json["script"].strip() == ran.out.strip()
    assert offline("completion", "other").code == 2


def test_help_asks_for_nothing_that_is_not_cheap() -> None:
    """`--help` takes 0.12 s of CPU; each of these would take as much again."""
    late = {"rich", "pydantic", "sqlalchemy", "duckdb", "dagster", "matplotlib", "openai", "fastapi", "pandas"}
    told = f"import sys\nfrom batch_pipeline.cli import main\nmain(['--help'])\nprint({late} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "set()"
