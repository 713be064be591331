"""`export`: the newest answers of a task, in each form, all the same."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import duckdb
import pytest

from batch_pipeline.local_server import RunningServer
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.cli.test_operations import POLL, submitted
from batch_pipeline_tests.command import COMMAND, environment

NAMES = [f"acme_orbit_issue_{number}_issue-kind.json" for number in (1, 2, 3)]


@pytest.fixture
def answered(command: Command, issue_files: Path) -> Command:
    """The command, after three answers."""
    command("collect", submitted(command, issue_files), *POLL)
    return command


def test_json_is_a_file_a_record(answered: Command, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    ran = answered("export", "issue-kind", "--output", folder)
    assert (ran.code, ran.out) == (0, f"3 answers of `issue_kind` written to {folder}.\n")
    assert sorted(file.name for file in folder.iterdir()) == NAMES
    told = json.loads((folder / NAMES[0]).read_text())
    assert (told["record_id"], told["task"]) == ("acme/orbit#1", "issue_kind")
    assert told["answer"]["label"] in ("bug", "feature", "question")


def test_every_form_has_the_same_answers(answered: Command, tmp_path: Path) -> None:
    answered("export", "issue-kind", "--output", tmp_path / "out")
    labels = {
        told["record_id"]: told["answer"]["label"]
        for told in (json.loads(file.read_text()) for file in (tmp_path / "out").iterdir())
    }
    lines = [json.loads(line) for line in answered("export", "issue-kind", "--format", "jsonl").out.splitlines()]
    assert {line["record_id"]: line["answer"]["label"] for line in lines} == labels
    rows = list(csv.DictReader(io.StringIO(answered("export", "issue-kind", "--format", "csv").out)))
    assert {row["record_id"]: row["label"] for row in rows} == labels
    file = tmp_path / "labels.parquet"
    ran = answered("export", "issue-kind", "--format", "parquet", "--output", file, "--json")
    assert ran.json == {"task": "issue_kind", "format": "parquet", "output": str(file), "answers": 3}
    assert dict(duckdb.read_parquet(str(file)).project("record_id, label").fetchall()) == labels


def test_filters_narrow_what_is_written(answered: Command) -> None:
    def count(*options: str) -> int:
        return len(answered("export", "issue-kind", "--format", "jsonl", *options).out.splitlines())

    assert count("--repo", "acme/orbit") == count("--org", "acme") == count() == 3
    assert count("--repo", "acme/other") == count("--org", "other") == count("--variant", "planner") == 0


def test_each_variant_of_a_record_has_a_file(command: Command, issue_files: Path, tmp_path: Path) -> None:
    command("issues", "load", issue_files)
    for role in ("planner", "coder"):
        ran = command("submit", "issue-work", "--variant", role, "--limit", "1", "--json")
        command("collect", ran.json["job_id"], *POLL)
    command("export", "issue-work", "--output", tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "acme_orbit_issue_1_issue-work-coder.json",
        "acme_orbit_issue_1_issue-work-planner.json",
    ]
    ran = command("export", "issue-work", "--output", tmp_path / "one", "--variant", "coder", "--json")
    assert ran.json["answers"] == 1


def test_only_the_newest_answer_is_written(answered: Command, issue_files: Path) -> None:
    answered("collect", submitted(answered, issue_files, "--force", "--model", "other"), *POLL)
    lines = [json.loads(line) for line in answered("export", "issue-kind", "--format", "jsonl").out.splitlines()]
    assert [line["model"] for line in lines] == ["other"] * 3


def test_what_can_not_be_written_is_said(answered: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for form in ("json", "jsonl", "csv", "parquet"):
        ran = answered("export", "issue-kind", "--format", form, "--output", tmp_path / "file" / "out")
        assert (ran.code, "can't be written" in ran.sentence) == (1, True)
    assert answered("export", "issue-kind", "--format", "csv", "--json").code == 2


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_whoever_reads_the_pipe_may_leave_it(
    answered: Command, tmp_path: Path, server: RunningServer, form: str
) -> None:
    given = environment(tmp_path / "data", BATCH_PIPELINE_LOCAL_URL=server.url)
    theirs, ours = os.pipe()
    os.close(theirs)
    ran = subprocess.run(
        [*COMMAND, "export", "issue-kind", "--format", form],
        env=given,
        stdout=ours,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(ours)
    assert b"can't be written" not in ran.stderr
    assert b"Unforeseen" not in ran.stderr


def test_a_task_without_answers_has_none_to_write(offline: Command, tmp_path: Path) -> None:
    ran = offline("export", "issue-kind", "--output", tmp_path / "out")
    assert (ran.code, ran.out[:9]) == (0, "0 answers")
    ran = offline("export", "issue-kind", "--format", "csv")
    assert (ran.code, "has no answers yet" in ran.sentence) == (1, True)
    ran = offline("export", "nothing")
    assert (ran.code, "no task `nothing`" in ran.sentence) == (2, True)
