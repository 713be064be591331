"""`report`: one page, written where it is wanted."""

from __future__ import annotations

from pathlib import Path

from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.cli.test_operations import POLL, submitted


def test_a_page_is_written(command: Command, issue_files: Path, tmp_path: Path) -> None:
    job = submitted(command, issue_files)
    command("collect", job, *POLL)
    file = tmp_path / "report.html"
    assert "any browser shows it" in command("report", "--html", file).out
    assert job in file.read_text()
    told = command("report", "--html", file, "--json").json
    assert (told["file"], told["bytes"]) == (str(file), file.stat().st_size)


def test_a_page_that_can_not_be_written_is_said_in_a_sentence(offline: Command, tmp_path: Path) -> None:
    ran = offline("report", "--html", tmp_path / "nowhere" / "report.html")
    assert (ran.code, "can't be written: No such file or directory" in ran.sentence) == (1, True)
    assert offline("report").code == 2
