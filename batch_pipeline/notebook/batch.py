"""`Batch`: what is asked, put together item by item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self, TypeVar, cast, overload

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.requests.rendering import content_renderer
from batch_pipeline.errors import UsageError
from batch_pipeline.notebook import placing, trying
from batch_pipeline.notebook.grouping import Plan
from batch_pipeline.notebook.items import DocumentFile, ImageFile, Item, Keeper, conversation, hash_of
from batch_pipeline.notebook.options import Options
from batch_pipeline.notebook.rows import Row, rows_of
from batch_pipeline.notebook.run import Run
from batch_pipeline.notebook.standing import DryRun
from batch_pipeline.settings import Mode, ProviderName, Settings, load_settings
from batch_pipeline.tasks.content import Content
from batch_pipeline.tasks.task import Answer, TaskEndpoint

_File = TypeVar("_File")

Ask = Content | Mapping[str, object]
"""What a function of a row gives: text, parts, a conversation, or a dict of what `Batch.add` takes."""


class Batch:
    """Items to ask a model about, each of them once, however often the program is run.

    Args:
        name: The batch's and its table's: lower case, digits and underscores. A program that is run again finds its
            jobs by it.
        model: The setting's, then the provider's default, where it is None.
        answer: A pydantic model, `str` for text, or `list[float]` for embeddings.
        provider: Who answers; the setting where it is None.
        system: The instructions, the same for every item.
        budget_usd: What all jobs of a submission may cost together, at worst.
        max_output_tokens: The answer's longest length.
        parameters: Further fields of each request's body, such as `temperature`.
        citations: Whether an answer of text comes with quotes of its document.
        endpoint: `chat`, or `responses`; embeddings have their own.
        mode: `batch`; or `realtime`, where `submit` answers at once at the full price, and `flex`, slower, at the price
            of a batch.
        canary: So many of the new items go first, and the rest if they go well.
        time_limit: Seconds from the first submission, after which `Run.wait` cancels what is not done; kept, so that
            `Batch.resume` keeps to it.
        max_batches_in_flight: Batches that the provider has at once, at most.
        items_per_batch: Items of one batch; the provider's limit where it is None.
        settings: Those of the environment where there are none.
        data_dir: Where ledger, warehouse and files lie, in place of the setting's.

    Raises:
        InvalidTask: A value that can't work.

    Examples:
        >>> batch = Batch("greetings", answer=str).add("Say hello.", record_id="hello")
        >>> len(batch)
        1
    """

    def __init__(
        self,
        name: str,
        model: str | None = None,
        answer: Answer = str,
        *,
        provider: ProviderName | None = None,
        system: str | None = None,
        budget_usd: float | None = None,
        max_output_tokens: int = 500,
        parameters: Mapping[str, object] | None = None,
        citations: bool = False,
        endpoint: TaskEndpoint | None = None,
        dimensions: int | None = None,
        mode: Mode = "batch",
        canary: int | None = None,
        time_limit: float | timedelta | None = None,
        max_batches_in_flight: int | None = None,
        items_per_batch: int | None = None,
        settings: Settings | None = None,
        data_dir: str | Path | None = None,
    ) -> None:
        self.name = name
        self._settings = _settings(settings, data_dir, items_per_batch)
        self._time_limit = seconds(time_limit)
        self._plan = Plan(
            name=name,
            answer=answer,
            model=model,
            provider=provider,
            system=system or "",
            parameters=dict(parameters or {}),
            max_output_tokens=max_output_tokens,
            citations=citations,
            endpoint=endpoint or ("embeddings" if answer == list[float] else "chat"),
            dimensions=dimensions,
            budget_usd=budget_usd,
            max_batches_in_flight=max_batches_in_flight,
            mode=mode,
            canary=canary or None,
            time_limit=self._time_limit,
        )
        self._plan.task(Options())  # whatever is wrong with it is said here
        self._keeper = Keeper(self._settings.data_dir / "python")
        self._items: dict[str, Item] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Batch({self.name!r}, {len(self):,} items)"

    def add(
        self,
        prompt: Content | None = None,
        *,
        messages: Sequence[Mapping[str, object]] | None = None,
        parts: Content | None = None,
        images: ImageFile | Sequence[ImageFile] = (),
        documents: DocumentFile | Sequence[DocumentFile] = (),
        record_id: object = None,
        parameters: Mapping[str, object] | None = None,
        model: str | None = None,
        system: str | None = None,
        max_output_tokens: int | None = None,
        citations: bool | None = None,
    ) -> Self:
        """Adds an item: text, parts, or a conversation; with images and documents, which go before the text.

        Args:
            prompt: What is asked: text, or parts (`Text`, `Image`, `Document` of `batch_pipeline.tasks`).
            messages: A conversation, as a list of `role` and `content`, in place of `prompt`. Instructions that it
                begins with are those of the item.
            parts: Another word for `prompt`, where it is parts.
            images: Paths, or `Image`s.
            documents: Paths of PDFs, or `Document`s.
            record_id: What the answer is found by, unique in the batch; a hash of what is asked where it is None.
            parameters: Over those of the batch.
            model: In place of the batch's; so for the three that follow.
            system: The instructions.
            max_output_tokens: The answer's longest length.
            citations: Whether the answer quotes.

        Raises:
            UsageError: Nothing is asked, or twice, or two different things under one `record_id`.
        """
        if messages is not None:
            if prompt is not None or parts is not None or images or documents:
                raise UsageError("`messages` is a whole conversation: give no `prompt`, images or documents beside it.")
            own, asked = conversation(messages)
            system = own if system is None else system
        else:
            if (prompt is None) == (parts is None) and not (prompt is None and (images or documents)):
                raise UsageError("An item asks one thing: give `prompt`, `parts` or `messages`.")
            asked = prompt if prompt is not None else parts if parts is not None else ""
        content = self._keeper.content(asked, _several(images), _several(documents))
        options = Options(dict(parameters or {}), model, system, max_output_tokens, citations)
        given = hash_of(content + options.as_json()) if record_id is None else str(record_id)
        self._put(Item(given, content, options))
        return self

    def add_many(
        self,
        rows: object,
        *,
        record_id: str | Callable[[Row], object] | None = None,
        prompt: str | Callable[[Row], Ask] | None = None,
        **common: object,
    ) -> Self:
        """Adds an item for each row of a frame (pandas, polars, Arrow), or of an iterable of dicts or texts.

        Args:
            rows: The rows; a text is the column `text`.
            record_id: A column, or a function of the row; a hash of what is asked where it is None.
            prompt: A template with columns in braces, or a function of the row that gives text, parts, or a dict of
                what `add` takes; the column `text` where it is None.
            common: What `add` takes further, the same for each.

        Raises:
            UsageError: As `add`; a row lacks a column.
        """
        ask = prompt if callable(prompt) else content_renderer(prompt or "{text}", {})
        add = cast("Callable[..., object]", self.add)  # what a dict holds has no type
        for row in rows_of(rows):
            try:
                asked = ask(row)
                found = record_id(row) if callable(record_id) else None if record_id is None else row[record_id]
            except KeyError as error:
                raise UsageError(f"A row has no column {error}; it has: {', '.join(row)}.") from error
            given = dict(asked) if isinstance(asked, Mapping) else {"prompt": asked}
            add(**{"record_id": found, **common, **given})
        return self

    @overload
    def submit(self, *, dry_run: Literal[False] = False, wait: bool = False) -> Run: ...
    @overload
    def submit(self, *, dry_run: Literal[True], wait: bool = False) -> DryRun: ...
    def submit(self, *, dry_run: bool = False, wait: bool = False) -> Run | DryRun:
        """Plans and sends what was never asked; what was, is found again, and goes on.

        Args:
            dry_run: Only show what it would come to.
            wait: Until all of it is done.

        Raises:
            UsageError: Nothing was added; the name is another's, or has answers of another model.
            PipelineError: The provider can't be reached, or refuses; what was planned is kept, and the same program
                goes on with it.
        """
        if not self._items:
            raise UsageError(f"Batch `{self.name}` has no items: add some with `add` or `add_many`.")
        pipeline = Pipeline(self._settings)
        items = list(self._items.values())
        if dry_run:
            try:
                return trying.dry_run(pipeline, self._plan, items)
            finally:
                pipeline.close()
        asked = placing.place(pipeline, self._plan, items)
        run = Run(pipeline, self.name, asked, answer=self._plan.answer, time_limit=self._time_limit)
        run.send()
        return run.wait() if wait else run

    @staticmethod
    def resume(
        name: str,
        answer: Answer | None = None,
        *,
        time_limit: float | timedelta | None = None,
        settings: Settings | None = None,
        data_dir: str | Path | None = None,
    ) -> Run:
        """The run of a batch that was submitted before, by whatever program, with all that was ever asked in it.

        Args:
            name: The batch's.
            answer: Its answer's model; without it, what was parsed is a dict.
            time_limit: As of `Batch`; the one that it was submitted with where it is None.
            settings: Those of the environment where there are none.
            data_dir: Where ledger, warehouse and files lie, in place of the setting's.

        Raises:
            UsageError: No such batch was submitted.
        """
        pipeline = Pipeline(_settings(settings, data_dir, None))
        asked = placing.found(pipeline, name)
        return Run(pipeline, name, asked, answer=answer, time_limit=seconds(time_limit))

    def _put(self, item: Item) -> None:
        known = self._items.setdefault(item.record_id, item)
        if known != item:
            raise UsageError(
                f"Batch `{self.name}`: `{item.record_id}` is added twice, with different things to ask. "
                "Give each its own record_id."
            )


def seconds(limit: float | timedelta | None) -> float | None:
    """A time limit in seconds."""
    return limit.total_seconds() if isinstance(limit, timedelta) else limit


def _settings(settings: Settings | None, data_dir: str | Path | None, items_per_batch: int | None) -> Settings:
    found = settings or load_settings()
    changed: dict[str, object] = {}
    if data_dir is not None:
        changed["data_dir"] = Path(data_dir).expanduser().absolute()
    if items_per_batch is not None:
        if items_per_batch < 1:
            raise UsageError("items_per_batch must be at least 1.")
        changed["max_requests"] = items_per_batch
    return found.model_copy(update=changed) if changed else found


def _several(files: _File | Sequence[_File]) -> Sequence[_File]:
    if isinstance(files, Sequence) and not isinstance(files, str):
        return cast("Sequence[_File]", files)
    return [cast(_File, files)]
