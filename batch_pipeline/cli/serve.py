"""`serve`: the REST API."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.output import AsJson, print_json, say
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from batch_pipeline.api import Serving


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Serve the REST API, and take webhooks.")(serve)


def serve(
    *,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65_535, help="0 takes any free one.")
    ] = 8000,
    insecure: Annotated[bool, typer.Option("--insecure", help="Ask for no token; on a loopback address only.")] = False,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Only answer; Dagster sends, polls and collects.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve the REST API until Ctrl-C; whoever asks needs the token that BATCH_PIPELINE_API_TOKEN holds.

    What it was asked for is in the ledger before it answers: killed at any moment, the next start goes on.

    Example: batch-pipeline serve --port 8000
    """
    from batch_pipeline.api import ServeOptions, run

    options = ServeOptions(host=host, port=port, insecure=insecure, works=not no_worker)
    with opened() as pipeline:
        run(pipeline, options, lambda serving: _announce(serving, as_json=as_json))


def _announce(serving: Serving, *, as_json: bool) -> None:
    if as_json:
        print_json({"url": serving.url})
    else:
        say(f"Listening on {serving.url}; {serving.url}/openapi.json describes it. Ctrl-C ends it.")
    sys.stdout.flush()  # whoever reads it through a pipe waits for it
