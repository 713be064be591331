"""The command as a process of its own, as a shell starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

COMMAND = (sys.executable, "-c", "import sys; from batch_pipeline.cli import main; sys.exit(main(sys.argv[1:]))")


def environment(data_dir: Path, **more: object) -> dict[str, str]:
    """The environment of a call: this process's, a data folder, and settings with their whole names."""
    ours = {"BATCH_PIPELINE_DATA_DIR": data_dir, "BATCH_PIPELINE_CREATE_WAIT_SECONDS": 0, **more}
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return inherited | {name: str(value) for name, value in ours.items()}


def started(environment: Mapping[str, str], *arguments: object) -> subprocess.Popen[bytes]:
    """A call under way; both of its streams are pipes."""
    given = [*COMMAND, *(str(argument) for argument in arguments)]
    return subprocess.Popen(given, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
