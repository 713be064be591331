"""`dev`: the local server and the Dagster UI, until Ctrl-C."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from batch_pipeline.cli.local_server import Engine, default_engine
from batch_pipeline.cli.output import AsJson, print_facts, print_json, say
from batch_pipeline.cli.session import read_settings

if TYPE_CHECKING:
    from batch_pipeline.cli.programs import Programs
    from batch_pipeline.settings import Settings

START_SECONDS = 120.0


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="The Dagster UI and the local server, until Ctrl-C.")(dev)


def dev(
    *,
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=1, max=65_535, help="Of the Dagster UI.")] = 3000,
    engine: Annotated[
        Engine | None, typer.Option("--engine", help="Of the local server; smollm2 where it is installed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the Dagster UI, its daemon, and the local server if that is the provider; end all with Ctrl-C.

    Example: batch-pipeline dev --port 3001
    """
    settings = read_settings()
    from batch_pipeline.cli.dagster_home import dagster_home
    from batch_pipeline.cli.programs import programs

    with dagster_home(settings) as home:
        _must_be_free(port, "the Dagster UI", "--port")
        environment = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONUNBUFFERED": "1"}
        with programs(settings.data_dir / "logs", environment) as running:
            try:
                _start(running, settings, home, port, engine or default_engine(), as_json=as_json)
                while True:
                    running.must_live()
                    time.sleep(0.5)
            except KeyboardInterrupt:
                if not as_json:
                    say("\nEnding. What is in flight at a provider stays there, and is collected the next time.")


def _start(running: Programs, settings: Settings, home: Path, port: int, engine: Engine, *, as_json: bool) -> None:
    from batch_pipeline.cli.code_server import start_code_server
    from batch_pipeline.cli.dagster_home import fail_dead_runs
    from batch_pipeline.cli.programs import answers

    if settings.provider == "local":
        start_local_server(running, settings, engine)
    if not as_json:
        say("Starting Dagster…")
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home)) as instance:
        fail_dead_runs(instance)
    workspace = str(start_code_server(running, home))
    running.start("webserver", "dagster_webserver", "-w", workspace, "-h", "127.0.0.1", "-p", str(port))
    running.start("daemon", "dagster._daemon", "run", "-w", workspace)
    running.wait_until(lambda: answers(port), START_SECONDS, "The start of the Dagster UI")
    _announce(running, settings, port, engine, as_json=as_json)


def start_local_server(running: Programs, settings: Settings, engine: Engine) -> None:
    """The local server at the address of the settings; returns when it listens.

    Raises:
        UsageError: Its port is taken.
    """
    from batch_pipeline.cli.programs import answers

    port = urlsplit(settings.local_url).port or 80
    _must_be_free(port, "the local server", "BATCH_PIPELINE_LOCAL_URL")
    state = str(settings.data_dir / "local-server")
    options = ("--engine", engine, "--port", str(port), "--state-dir", state, "--exit-with-parent")
    running.start("local-server", "batch_pipeline.local_server", *options)
    running.wait_until(lambda: answers(port), START_SECONDS, "The start of the local server")


def _must_be_free(port: int, what: str, way_out: str) -> None:
    from batch_pipeline.cli.programs import is_free
    from batch_pipeline.errors import UsageError

    if not is_free(port):
        raise UsageError(f"Port {port} of {what} is taken. End what uses it, or choose another with {way_out}.")


def _announce(running: Programs, settings: Settings, port: int, engine: Engine, *, as_json: bool) -> None:
    url = f"http://127.0.0.1:{port}"
    local = settings.provider == "local"
    if as_json:
        print_json({"url": url, "local_server": settings.local_url if local else None, "logs": running.folder})
        return
    print_facts(
        [
            ("Dagster UI", url),
            *([("Local server", f"{settings.local_url}, answering with {engine}")] if local else []),
            ("Logs", str(running.folder)),
        ]
    )
    say()
    say("First steps:")
    say("1. In another terminal: batch-pipeline issues load 'data/issues/*.json'")
    say("   or, from GitHub: batch-pipeline issues pull OWNER/REPO")
    say(f"2. In {url}/assets, materialize `issues` for the newest night.")
    say("3. Watch the sensors plan it, submit it, and collect the answers.")
    say()
    say("Ctrl-C ends everything.")
