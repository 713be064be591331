"""What docs/scaling.md shows is what the command prints."""

from __future__ import annotations

import shlex

import pytest

from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.pages import blocks

SHOWN = [block.text.splitlines() for block in blocks("docs/scaling.md", "text") if block.mark == "simulated"]


@pytest.mark.parametrize("lines", SHOWN[::2], ids=[lines[0].partition("--rows ")[2] for lines in SHOWN[::2]])
def test_a_simulation_prints_what_is_shown(offline: Command, lines: list[str]) -> None:
    """But for what this machine's disk has left."""
    prompt, name, *arguments = shlex.split(lines[0])
    assert (prompt, name) == ("$", "batch-pipeline")
    ran = offline(*arguments)
    assert (ran.code, ran.err) == (0, "")
    assert [line for line in ran.out.splitlines() if "than is free here" not in line] == lines[1:]


def test_there_are_simulations_of_a_million_and_a_billion() -> None:
    rows = [int(shlex.split(lines[0])[shlex.split(lines[0]).index("--rows") + 1]) for lines in SHOWN]
    assert rows == [10**6, 10**8, 10**9, 10**9, 10**9]
