"""`python -m batch_pipeline.local_server`: a server in its own process; says on stdout when it listens."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from batch_pipeline.errors import PipelineError, UsageError
from batch_pipeline.local_server.options import EngineName, LocalServerOptions, default_state_dir
from batch_pipeline.local_server.server import RunningServer, run
from batch_pipeline.settings import load_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT. Returns the exit code: 0, or 2 with a sentence on stderr."""
    given = _parser().parse_args(arguments)
    try:
        run(_options(given), announce=_announce, exit_with_parent=given.exit_with_parent)
    except PipelineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command
        return error.exit_code
    return 0


def _announce(server: RunningServer) -> None:
    print(f"listening on {server.url}", flush=True)  # noqa: T201 - whoever started this waits for the line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m batch_pipeline.local_server", description=__doc__)
    add = parser.add_argument
    add("--engine", choices=get_args(EngineName), default="simulated")
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=8765, help="0 takes any free one")
    add("--state-dir", type=Path)
    add("--model-path", type=Path, help="a GGUF file for `smollm2`")
    add("--upstream-url", help="base URL for `upstream`, /v1 included")
    add("--upstream-key-file", type=Path, help="a file with the key for it")
    add("--threads", type=int, help="for `smollm2`; default: one fewer than the cores")
    add("--seconds", type=float, help="from a batch's creation to its end; default: as fast as it goes")
    add("--faults", type=Path, help="a JSON file of faults")
    add("--concurrency", type=int, default=8, help="requests in flight at `upstream`")
    add("--webhook-url", help="who is told of each batch that has ended; OPENAI_WEBHOOK_SECRET signs it")
    add("--exit-with-parent", action="store_true", help="end when the process that started this one has ended")
    return parser


def _options(given: argparse.Namespace) -> LocalServerOptions:
    return LocalServerOptions(
        engine=given.engine,
        host=given.host,
        port=given.port,
        state_dir=given.state_dir or default_state_dir(),
        model_path=given.model_path,
        upstream_url=given.upstream_url,
        upstream_key=_key(given.upstream_key_file),
        threads=given.threads,
        seconds=given.seconds,
        faults=given.faults,
        concurrency=given.concurrency,
        webhook_url=given.webhook_url,
        webhook_secret=_webhook_secret() if given.webhook_url else None,
    )


def _webhook_secret() -> str | None:
    secret = load_settings().openai_webhook_secret
    return secret.get_secret_value() if secret else None


def _key(path: Path | None) -> str | None:
    try:
        return path.read_text().strip() if path else None
    except OSError as error:
        raise UsageError(f"The key file {path} can't be read: {error.strerror}.") from error


if __name__ == "__main__":
    sys.exit(main())
