"""Completion of the shell: the names of tasks and the ids of jobs, without opening anything; and the verb's script."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from batch_pipeline.cli.output import AsJson, print_json, say

PROGRAM = "batch-pipeline"
VARIABLE = "_BATCH_PIPELINE_COMPLETE"
SHOWN = 50
"""Jobs that are offered, the newest."""

Shell = Literal["bash", "zsh", "fish"]


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Print the script that completes verbs, tasks and jobs.")(completion)


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell.")], *, as_json: AsJson = False
) -> None:
    """Print the script by which a shell completes verbs, options, tasks and jobs.

    `batch-pipeline --install-completion` puts it where the shell of this terminal looks for it.

    Example: batch-pipeline completion bash > ~/.local/share/bash-completion/completions/batch-pipeline
    """
    # typer exports no other way to it than an option, which takes no shell's name
    from typer.completion import get_completion_script  # pyright: ignore[reportPrivateImportUsage]

    script = get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell)
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        say(script)


def task_names(incomplete: str) -> list[str]:
    """Names of tasks that begin so, as their files give them: to import those takes half a second."""
    files = sorted((Path(__file__).parents[1] / "tasks").glob("*.py"))
    texts = [file.read_text(encoding="utf-8") for file in files if file.name != "task.py"]
    names = [name for text in texts for name in _NAME.findall(text)]
    shown = names if "_" in incomplete else [name.replace("_", "-") for name in names]
    return [name for name in shown if name.startswith(incomplete)]


def job_ids(incomplete: str) -> list[str]:
    """Ids of the newest jobs that begin so: their folders', so that no ledger is opened."""
    given = os.environ.get("BATCH_PIPELINE_DATA_DIR")
    data_dir = Path(given) if given else Path(__file__).parents[2] / "data" / "var"
    try:
        with os.scandir(data_dir / "batches") as entries:
            found = [(entry.stat().st_mtime, entry.name) for entry in entries if entry.name.startswith(incomplete)]
    except OSError:
        return []
    ids = [name for _, name in sorted(found, reverse=True) if name != "sends" and not _ATTEMPT.search(name)]
    return ids[:SHOWN]


_NAME = re.compile(r"""BatchTask\(\s*name=["']([a-z0-9_]+)["']""")
_ATTEMPT = re.compile(r"-again\d+$")
