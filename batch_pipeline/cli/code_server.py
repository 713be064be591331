"""Dagster's code server: loads the project once, for the UI, the daemon, and whoever asks for a run."""

from __future__ import annotations

from pathlib import Path

from batch_pipeline.cli.programs import Programs, answers, free_port

START_SECONDS = 60.0

_WORKSPACE = """\
load_from:
  - grpc_server:
      host: 127.0.0.1
      port: {port}
      location_name: batch_pipeline
"""


def start_code_server(running: Programs, home: Path) -> Path:
    """Starts it, and waits until it listens; the code is loaded when somebody asks.

    By the project's own `workspace.yaml`, each program would start a code server of its own, and a new one each minute.

    Args:
        running: Where it is started.
        home: `DAGSTER_HOME`, in which the workspace file is put.

    Returns:
        The workspace file by which other programs find it.

    Raises:
        PipelineError: It ended, or did not start in time.
    """
    port = free_port()
    where = ("-m", "batch_pipeline.definitions", "-h", "127.0.0.1", "-p", str(port))
    running.start("code-server", "dagster", "code-server", "start", *where)
    running.wait_until(lambda: answers(port), START_SECONDS, "The start of Dagster's code server")
    workspace = home / "workspace.yaml"
    workspace.write_text(_WORKSPACE.format(port=port))
    return workspace
