"""How a batch asks: its items in groups, each of which one task, and so one envelope of a request, serves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, snapshot_of
from batch_pipeline.errors import UsageError
from batch_pipeline.notebook.items import Item, content_of, hash_of
from batch_pipeline.notebook.options import Options
from batch_pipeline.settings import Mode, ProviderName
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.tasks.task import Answer, BatchTask, TaskEndpoint

MOST_GROUPS = 50
"""Each is a job of its own; more are a mistake."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a batch asks."""

    name: str
    answer: Answer
    model: str | None
    provider: ProviderName | None
    system: str
    parameters: Mapping[str, object]
    max_output_tokens: int
    citations: bool
    endpoint: TaskEndpoint
    dimensions: int | None
    budget_usd: float | None
    max_batches_in_flight: int | None
    mode: Mode = "batch"
    canary: int | None = None
    time_limit: float | None = None

    def task(self, options: Options, records: str = "FROM python_items") -> BatchTask:
        """The task that items with these options are asked as.

        Raises:
            InvalidTask: Something in it can't work.
        """
        return BatchTask(
            name=self.name,
            records=records,
            prompt=content_of,
            uses=("content",),
            answer=self.answer,
            system=self.system if options.system is None else options.system,
            endpoint=self.endpoint,
            provider=self.provider,
            model=options.model or self.model,
            parameters={**self.parameters, **options.parameters},
            max_output_tokens=options.max_output_tokens or self.max_output_tokens,
            citations=self.citations if options.citations is None else options.citations,
            dimensions=self.dimensions,
            partitions=None,
            order="position",
            deps=(),
        )


@dataclass(frozen=True)
class Group:
    """Items that one request envelope serves; `envelope` names it."""

    task: BatchTask
    envelope: str
    items: Sequence[Item]


def groups_of(pipeline: Pipeline, wanted: Plan, items: Sequence[Item]) -> list[Group]:
    """One for each set of options; what would be asked in the same words is one, whoever said it."""
    by_options: dict[str, list[Item]] = {}
    for item in items:
        by_options.setdefault(item.options.as_json(), []).append(item)
    by_envelope: dict[str, Group] = {}
    for of_options in by_options.values():
        task = wanted.task(of_options[0].options)
        snapshot = snapshot_of(pipeline, Order(task, mode=wanted.mode))
        pipeline.provider(snapshot.provider)
        envelope = _envelope(snapshot)
        before = by_envelope.get(envelope)
        by_envelope[envelope] = Group(task, envelope, [*(before.items if before else ()), *of_options])
    if len(by_envelope) > MOST_GROUPS:
        raise UsageError(
            f"Batch `{wanted.name}`: its items want {len(by_envelope):,} different models, instructions or parameters, "
            f"and each makes a job of its own; {MOST_GROUPS} are taken. Put what differs into the prompt."
        )
    return list(by_envelope.values())


def _envelope(snapshot: TaskSnapshot) -> str:
    told = [snapshot.provider, snapshot.model, snapshot.endpoint, snapshot.prompt_version, snapshot.max_output_tokens]
    return hash_of(json.dumps(told))
