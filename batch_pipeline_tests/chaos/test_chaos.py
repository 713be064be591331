"""A dozen kills; `make chaos` does three hundred."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.timeout(400)
def test_after_a_dozen_kills_the_books_agree() -> None:
    command = [sys.executable, "-m", "batch_pipeline_tests.chaos", "--kills", "12", "--seed", "7"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
