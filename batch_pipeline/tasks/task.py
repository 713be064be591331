"""`BatchTask`: the one thing that a user of this project writes."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from pydantic import BaseModel
from typing_extensions import TypeIs

from batch_pipeline.errors import InvalidTask
from batch_pipeline.settings import ProviderName
from batch_pipeline.tasks.content import Content
from batch_pipeline.tasks.schema import Schema, columns, list_of_parts, strict_schema
from batch_pipeline.tasks.snapshot import EMBEDDINGS, TaskSnapshot
from batch_pipeline.wire.messages import MESSAGES

Record = Mapping[str, object]
"""One row of a task's `records`: column to value."""

Prompt = str | Callable[[Record], Content]
Answer = type[BaseModel] | type[str] | type[list[float]]
TaskEndpoint = Literal["chat", "responses", "embeddings"]
Partitions = Literal["repo_night", "night"]

ENDPOINTS: dict[str, str] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "embeddings": EMBEDDINGS,
}

OWN_COLUMNS = (
    *("record_id", "repo", "night", "provider", "model", "prompt_version", "variant", "content_hash"),
    *("job_id", "batch_id", "custom_id", "reused_from", "answered_at"),
)
"""Columns of every task's table beside those of its answer."""

PROJECT_TABLES = frozenset(
    {
        *("issue_versions", "issues", "issue_comments", "batch_requests", "request_records", "batch_results"),
        *("batch_jobs", "batches", "batch_items", "schema_steps"),
        *("gold_answers", "eval_runs", "eval_scores"),
        *("images", "documents", "document_pages", "document_citations", "file_chunks"),
        "python_items",
    }
)
"""Names that no task may have: its table would take the place of one of ours."""

SCORES = ("accuracy", "macro_f1")
"""What `min_score` may hold an evaluation to."""

_OURS_IN_BODY = frozenset(
    {
        *("model", "messages", "input", "instructions", "response_format", "text", "stream", "n"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "system", "output_config"),
    }
)
"""Fields of a request's body that are made of the task, counted and priced; `parameters` may not change them."""


class Quote(BaseModel):
    """Words of a document, as they stand on a page of it (the first is 1)."""

    page: int
    quote: str


class Cited(BaseModel):
    """An answer of text, with the words of the document that it rests on, copied letter by letter."""

    answer: str
    citations: list[Quote]


@dataclass(frozen=True, kw_only=True)
class BatchTask:
    """What is asked of each record.

    Examples:
        >>> from typing import Literal
        >>> class Mood(BaseModel):
        ...     label: Literal["glad", "sad"]
        >>> mood = BatchTask(name="mood", records="FROM issues", prompt="{title}", answer=Mood)
        >>> mood.columns
        ('title',)

    Raises:
        InvalidTask: A field has a value that can't work; checked when the task is made. The SQL and its columns are
            checked when a job is planned, and by `batch-pipeline tasks check`.
    """

    name: str
    """The task's name and its table's: lower case, digits and underscores."""
    records: str
    """Which records exist, as SQL: must give `record_id`, what the prompt names, and `repo` and `night` where the
    partitions say so. The partition, filters and "not answered yet" are put around it."""
    prompt: Prompt
    """A template with the record's columns in braces, or a function of the record."""
    answer: Answer
    """A pydantic model that a strict JSON schema can express, `str` for text, or `list[float]` for an embedding."""
    system: str = ""
    """The instructions, the same for every record."""
    endpoint: TaskEndpoint = "chat"
    provider: ProviderName | None = None
    """Who answers; the setting where it is None."""
    model: str | None = None
    """The model; the setting, then the provider's default, where it is None."""
    parameters: Mapping[str, object] = field(default_factory=dict[str, object])
    """Further fields of the request's body, such as `temperature`; as JSON would have them."""
    max_output_tokens: int = 500
    """The answer's longest length in tokens; it bounds what a request may cost."""
    partitions: Partitions | None = "repo_night"
    """How its assets are partitioned in Dagster: repository and night, night, or not at all."""
    order: str = "record_id"
    """SQL of `ORDER BY`: which records come first where a limit cuts them off."""
    variants: Mapping[str, str] = field(default_factory=dict[str, str])
    """Named instructions, each in place of `system`; chosen with `--variant`. A task with `variants` and without
    `system` has no others: the command must choose one, and a night asks in each of them."""
    truncate_at: Mapping[str, int] = field(default_factory=dict[str, int])
    """Characters of a column that are sent."""
    each: str | None = None
    """A column that holds a list: each element is asked about in a request of its own, and the answers stand in one
    row, as the column `answers`. The prompt function finds the element in the column, and its number in `part`."""
    citations: bool = False
    """Whether an answer of text comes with quotes: `answer`, and `citations` of `page` (from 1) and `quote`."""
    dimensions: int | None = None
    """How many numbers an embedding has; the model's own count where it is None."""
    uses: tuple[str, ...] | None = None
    """The columns that a prompt function reads; all of `records` where it is None."""
    min_answered: float = 0.9
    """The share of records that must be answered, for the asset check."""
    min_score: Mapping[str, float] = field(default_factory=dict[str, float])
    """The lowest scores of an evaluation, for the asset check: `accuracy` or `macro_f1` of every field that is scored,
    or `kind.accuracy` of the field `kind`."""
    canary: int | None = None
    """Records to send first, before the rest."""
    deps: tuple[str, ...] = ("issues",)
    """Keys of the assets that the records come from."""
    nightly: bool = True
    """Whether what a night collects is planned and sent by itself; else its assets are materialized by hand."""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The record's columns that the prompt uses; None for a function that does not say."""
        if isinstance(self.prompt, str):
            return tuple(dict.fromkeys(name for _, name, _, _ in string.Formatter().parse(self.prompt) if name))
        return None if self.uses is None else tuple(dict.fromkeys([*self.uses, *self._parts_column]))

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns without which nothing can be asked, as far as that is known."""
        return tuple(dict.fromkeys(["record_id", *(self.columns or self._parts_column)]))

    @property
    def _parts_column(self) -> tuple[str, ...]:
        return () if self.each is None else (self.each,)

    @property
    def embeds(self) -> bool:
        """Whether its answers are embeddings."""
        return self.answer == list[float]

    @cached_property
    def schema(self) -> Schema | None:
        """The answer's strict JSON schema; None where it is text without quotes, or an embedding."""
        if self.citations:
            return strict_schema(Cited)
        return strict_schema(self.answer) if _is_model(self.answer) else None

    @property
    def answer_columns(self) -> dict[str, str]:
        """The answer's columns in the task's table: name to DuckDB type."""
        if self.embeds:
            return {"embedding": "FLOAT[]"}
        return {"answers": list_of_parts(self._fields)} if self.each else self._fields

    @property
    def part_columns(self) -> dict[str, str] | None:
        """Of an answer in parts, the columns of one part; None where it is one."""
        return self._fields if self.each else None

    @property
    def _fields(self) -> dict[str, str]:
        return columns(self.schema) if self.schema is not None else {"text": "VARCHAR"}

    @property
    def asked_as(self) -> tuple[str | None, ...]:
        """The variants that a night asks in, one after the other: None, where it has instructions of its own."""
        return (None,) if self.system or not self.variants else tuple(self.variants)

    def instructions(self, variant: str | None = None) -> str:
        """The instructions of a variant.

        Raises:
            InvalidTask: The task has no such variant.
        """
        if variant is None:
            return self.system
        if variant not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise InvalidTask(f"Task `{self.name}` has no variant `{variant}`; there are: {known}.")
        return self.variants[variant]

    @property
    def prompt_text(self) -> str:
        """The template, or the source of the function."""
        return self.prompt if isinstance(self.prompt, str) else inspect.getsource(self.prompt)

    def prompt_version(self, variant: str | None = None) -> str:
        """Eight characters that change whenever what is asked changes: prompt, instructions, schema, parameters."""
        asked = {
            "system": self.instructions(variant),
            "prompt": self.prompt_text,
            "schema": self.schema,
            "parameters": dict(self.parameters),
            "truncate_at": dict(self.truncate_at),
            "endpoint": self.endpoint,
        }
        further = {"each": self.each, "citations": self.citations or None, "dimensions": self.dimensions}
        asked |= {name: value for name, value in further.items() if value is not None}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]

    def snapshot(self, provider: ProviderName, model: str, variant: str | None = None) -> TaskSnapshot:
        """The task as a job keeps it: all that is needed to collect it, whatever the file says by then.

        Raises:
            InvalidTask: The task has no such variant, or has nothing but variants and none is chosen.
        """
        if variant is None and None not in self.asked_as:
            known = ", ".join(self.variants)
            raise InvalidTask(f"Task `{self.name}` is asked in variants: choose one with --variant: {known}.")
        return TaskSnapshot(
            name=self.name,
            endpoint=MESSAGES if provider == "anthropic" else ENDPOINTS[self.endpoint],
            provider=provider,
            model=model,
            variant=variant,
            system=self.instructions(variant),
            prompt=self.prompt_text,
            truncate_at=dict(self.truncate_at),
            answer_schema=self.schema,
            answer_columns=self.answer_columns,
            part_columns=self.part_columns,
            citations=self.citations,
            dimensions=self.dimensions,
            parameters=dict(self.parameters),
            max_output_tokens=0 if self.embeds else self.max_output_tokens,
            prompt_version=self.prompt_version(variant),
        )


def _check(task: BatchTask) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", task.name):
        raise InvalidTask(
            f"`{task.name}` can't be a task's name: lower case letters, digits and underscores, 40 at most."
        )
    if task.name in PROJECT_TABLES or task.name.endswith("_latest"):
        raise InvalidTask(f"`{task.name}` is the name of one of the project's own tables; give the task another.")
    if task.endpoint not in ENDPOINTS:
        raise InvalidTask(f"Task `{task.name}`: endpoint `{task.endpoint}` is not one of {', '.join(ENDPOINTS)}.")
    if task.provider is not None and task.provider not in get_args(ProviderName):
        known = ", ".join(get_args(ProviderName))
        raise InvalidTask(f"Task `{task.name}`: provider `{task.provider}` is not one of {known}.")
    if task.partitions is not None and task.partitions not in get_args(Partitions):
        known = ", ".join(get_args(Partitions))
        raise InvalidTask(f"Task `{task.name}`: partitions `{task.partitions}` is not one of {known}, nor None.")
    if taken := sorted(task.parameters.keys() & _OURS_IN_BODY):
        raise InvalidTask(f"Task `{task.name}`: `{taken[0]}` can't be among its parameters; the task itself sets it.")
    if task.max_output_tokens < 1:
        raise InvalidTask(f"Task `{task.name}`: max_output_tokens must be at least 1.")
    if not 0 <= task.min_answered <= 1:
        raise InvalidTask(f"Task `{task.name}`: min_answered is a share between 0 and 1.")
    if task.canary is not None and task.canary < 1:
        raise InvalidTask(f"Task `{task.name}`: a canary is of at least 1 record; None sends all at once.")
    _check_scores(task)
    _check_answer(task)
    _check_prompt(task)
    _check_version(task)


def _check_answer(task: BatchTask) -> None:
    if task.answer is not str and not task.embeds and not _is_model(task.answer):
        raise InvalidTask(f"Task `{task.name}`: answer must be a pydantic model, str or list[float].")
    if task.embeds != (task.endpoint == "embeddings"):
        raise InvalidTask(f"Task `{task.name}`: the endpoint `embeddings` and the answer list[float] go together.")
    if task.dimensions is not None and (not task.embeds or task.dimensions < 1):
        raise InvalidTask(f"Task `{task.name}`: dimensions are those of an embedding, at least 1.")
    if task.embeds and (task.system or task.each or task.variants):
        raise InvalidTask(f"Task `{task.name}`: an embedding has no instructions, no variants and no parts.")
    if task.citations and (task.answer is not str or task.each):
        raise InvalidTask(f"Task `{task.name}`: citations come with an answer of str, one a record.")
    try:
        names = {name.lower() for name in task.answer_columns}
    except InvalidTask as error:
        raise InvalidTask(f"Task `{task.name}`: {error}") from None
    if taken := names & set(OWN_COLUMNS):
        raise InvalidTask(
            f"Task `{task.name}`: its answer has a field `{sorted(taken)[0]}`, "
            "which is a column of every task's table; give the field another name."
        )


def _is_model(answer: object) -> TypeIs[type[BaseModel]]:
    return inspect.isclass(answer) and issubclass(answer, BaseModel)


def _check_scores(task: BatchTask) -> None:
    for name, lowest in task.min_score.items():
        of, _, score = name.rpartition(".")
        if score not in SCORES or (of and of not in task.answer_columns) or not 0 <= lowest <= 1:
            raise InvalidTask(
                f"Task `{task.name}`: min_score has `{name}`: {lowest}; write {' or '.join(SCORES)}, alone or after a "
                "field and a dot, and a share between 0 and 1."
            )


def _check_prompt(task: BatchTask) -> None:
    if not isinstance(task.prompt, str):
        return
    if task.each:
        raise InvalidTask(f"Task `{task.name}`: with `each`, its prompt must be a function of the record.")
    try:
        used = task.columns or ()
    except ValueError as error:
        raise InvalidTask(
            f"Task `{task.name}`: its prompt is no template: {error}. Write braces that stay as {{{{ and }}}}."
        ) from None
    if not used:
        raise InvalidTask(f"Task `{task.name}`: its prompt names no column, so every record would be asked the same.")
    for _, name, form, conversion in string.Formatter().parse(task.prompt):
        if name is not None and not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise InvalidTask(f"Task `{task.name}`: `{{{name}}}` in its prompt is no column's name.")
        if conversion or "{" in (form or ""):
            raise InvalidTask(f"Task `{task.name}`: write `{{{name}}}` in its prompt without `!` and inner braces.")


def _check_version(task: BatchTask) -> None:
    try:
        task.prompt_version()
    except OSError:
        raise InvalidTask(
            f"Task `{task.name}`: the source of its prompt function can't be read; write it with `def`, in a file."
        ) from None
    except (TypeError, ValueError) as error:
        raise InvalidTask(f"Task `{task.name}`: its prompt or its parameters can't be written down: {error}.") from None
