"""Every verb: an example in its help, JSON where it is asked for, and in a pipe nothing that needs a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer

from batch_pipeline.cli.app import app
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.cli.test_operations import POLL, submitted

UNTIL_CTRL_C = {"demo", "dev", "local-server", "serve"}
"""Verbs that start programs, and have tests of their own."""
ELSEWHERE = {
    "migrate-to",
    "issues pull",
    "resolve",
    "similar",
    "eval run",
    "eval compare",
    "images load",
    "documents load",
    "files load",
}
"""Verbs that need a world of their own, and have tests in it."""


def verbs(group: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer has its own click
    """Every verb by its whole name; a group that does something by itself is one too."""
    command = typer.main.get_command(app) if group is None else group
    inner = cast("dict[str, Any]", getattr(command, "commands", {}))
    if name and (not inner or getattr(command, "invoke_without_command", False)):
        yield name, command
    for each, found in inner.items():
        yield from verbs(found, f"{name} {each}".strip())


VERBS = dict(verbs())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_json_a_short_help_and_an_example(verb: str) -> None:
    command = VERBS[verb]
    assert any("--json" in parameter.opts for parameter in command.params)
    assert f"Example: batch-pipeline {verb}" in " ".join(command.help.split())
    short = command.get_short_help_str(200)
    assert 10 < len(short) <= 70
    assert "..." not in short


def calls(job: str, folder: Path) -> dict[str, tuple[object, ...]]:
    """A call of each verb that works where one job is done."""
    return {
        "plan": ("issue-kind", "--simulate", "--rows", 1_000, "--tokens-per-row", 100),
        "submit": ("issue-kind", "--dry-run"),
        "status": (job,),
        "list": (),
        "collect": (job,),
        "cancel": (job,),
        "retry": (job,),
        "watch": (job,),
        "reprocess": ("issue-kind", "--dry-run"),
        "history": (),
        "details": (job,),
        "export": ("issue-kind", "--output", folder / "out"),
        "cost": ("--by", "task"),
        "report": ("--html", folder / "report.html"),
        "query": ("SELECT 1 AS one",),
        "doctor": (),
        "prune": ("--older-than", 30),
        "recover": (),
        "completion": ("bash",),
        "tasks": (),
        "tasks show": ("issue-kind",),
        "tasks check": (),
        "rows load": (folder / "rows.csv", "--table", "reviews"),
        "issues load": (folder / "issues",),
        "issues status": (),
        "eval scores": (),
    }


def test_every_verb_prints_json_and_is_readable_in_a_pipe(command: Command, issue_files: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,text\n1,good\n")
    job = submitted(command, issue_files)
    command("collect", job, *POLL)
    wanted = calls(job, tmp_path)
    assert wanted.keys() == VERBS.keys() - UNTIL_CTRL_C - ELSEWHERE
    for verb, arguments in wanted.items():
        ran = command(*verb.split(), *arguments, "--json")
        told = [line for line in ran.err.splitlines() if not line.startswith("Completed: ")]
        assert (ran.code, told) == (0, []), (verb, ran)
        json.loads(ran.out)
        ran = command(*verb.split(), *arguments)
        assert (ran.code, ran.err) == (0, ""), (verb, ran)
        assert not set(ran.out) & {"\x1b", "\r"}, verb
        assert not any(line != line.rstrip() for line in ran.out.splitlines()), verb
