"""Overview: who answers, where things are kept, and how much there is of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import not_closed_providers, poll
from batch_pipeline.batches.standing.status import statuses
from batch_pipeline.errors import PipelineError
from batch_pipeline.settings import ProviderName

if TYPE_CHECKING:
    from batch_pipeline.providers import Provider


@dataclass(frozen=True)
class Overview:
    """How a pipeline is set up, and what is in it; `problem` says why the provider can't be asked."""

    enabled: bool
    provider: ProviderName
    model: str
    base_url: str
    problem: str | None
    ledger: str
    warehouse: str
    issues: int
    repos: int
    jobs: Mapping[str, int]
    cost_usd: float


def overview(pipeline: Pipeline, *, ask: bool = True) -> Overview:
    """Asks every provider that something is expected of, and counts.

    Args:
        pipeline: The pipeline.
        ask: False: what the ledger knows, and nobody is asked.
    """
    from sqlalchemy.engine import make_url

    settings = pipeline.settings
    problem = _ask(pipeline) if ask else None
    found = statuses(pipeline)
    with pipeline.warehouse.read() as connection:
        issues, repos = connection.execute("SELECT count(*), count(DISTINCT repo) FROM issues").fetchall()[0]
    urls = {"local": settings.local_url, "openai": settings.openai_base_url, "anthropic": settings.anthropic_base_url}
    return Overview(
        enabled=settings.enabled,
        provider=settings.provider,
        model=settings.model_for(settings.provider),
        base_url=urls[settings.provider],
        problem=problem,
        ledger=make_url(settings.ledger).set(query={}).render_as_string(),  # a password may be in the query too
        warehouse=pipeline.warehouse.name,
        issues=int(issues),
        repos=int(repos),
        jobs=dict(sorted(Counter(job.state for job in found).items())),
        cost_usd=sum(job.cost_usd for job in found),
    )


def _ask(pipeline: Pipeline) -> str | None:
    try:
        for name in not_closed_providers(pipeline):
            poll(pipeline, name)
        _must_answer(pipeline.provider(pipeline.settings.provider))
    except PipelineError as error:
        return str(error)
    return None


def _must_answer(provider: Provider) -> None:
    provider.get("batch_that_nobody_made")  # 404 is an answer too: the key is good, and the protocol is the right one
