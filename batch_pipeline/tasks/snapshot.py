"""A task as a job keeps it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from batch_pipeline.settings import Mode, ProviderName

EMBEDDINGS = "/v1/embeddings"
"""The path of the endpoint that takes many inputs in one request."""


class TaskSnapshot(BaseModel):
    """All of a task that sending and collecting need; kept with the job as JSON."""

    model_config = ConfigDict(frozen=True)

    name: str
    endpoint: str
    """The provider's path, such as `/v1/chat/completions`."""
    bare_url: bool = False
    """Whether the lines of a batch name it without `/v1`, as Azure's do."""
    provider: ProviderName
    model: str
    variant: str | None = None
    system: str
    prompt: str = ""
    """The template, or the function's source: for telling what changed from one version to the next. Not sent."""
    truncate_at: dict[str, int] = {}
    """Characters of a column that were sent; kept for the same reason."""
    answer_schema: dict[str, object] | None
    """The strict JSON schema that the answer must satisfy; None for text."""
    answer_columns: dict[str, str]
    """The answer's columns: name to DuckDB type."""
    part_columns: dict[str, str] | None = None
    """Of an answer in parts, the columns of one part; None where it is one."""
    citations: bool = False
    dimensions: int | None = None
    parameters: dict[str, object]
    max_output_tokens: int
    prompt_version: str
    mode: Mode = "batch"

    @property
    def url(self) -> str:
        """The endpoint as the lines of a batch name it."""
        return self.endpoint.removeprefix("/v1") if self.bare_url else self.endpoint

    @property
    def embeds(self) -> bool:
        """Whether its answers are embeddings."""
        return self.endpoint == EMBEDDINGS
