"""A dozen kills; `make chaos` does three hundred."""

from __future__ import annotations

import subprocess
import sys

import pytest

from batch_pipeline_tests.chaos.worlds import SERVER_WORLDS


@pytest.mark.timeout(400)
def test_after_a_dozen_kills_the_books_agree() -> None:
    agree("--kills", "12", "--seed", "7")


@pytest.mark.scale
@pytest.mark.timeout(400)
def test_so_they_do_with_four_submitters_on_two_hosts_and_a_ledger_that_is_restarted() -> None:
    told = agree("--worlds", "servers", "--kills", "14", "--seed", "3", "--lanes", "1")
    for world in SERVER_WORLDS:
        assert f"\n{world.name} " in told


def agree(*options: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "batch_pipeline_tests.chaos", *options], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
