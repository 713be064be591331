"""What is asked of a record: its prompt, filled in; for a task with parts, once for each of them."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import cast

from batch_pipeline.errors import InvalidTask
from batch_pipeline.tasks.content import Content, UnusableRecord
from batch_pipeline.tasks.task import BatchTask, Record

Columns = Callable[[str], Sequence[object]]
"""Gives a column of records by its name."""

Rendered = tuple[int, Content | UnusableRecord]
"""The number of the part, from 0, and what is asked of it, or why nothing can be."""


def renderer(task: BatchTask) -> Callable[[Record], Iterable[Rendered]]:
    """A function that gives what is asked of a record, part by part."""
    content = content_renderer(task.prompt, task.truncate_at)
    usable = _text_to_embed if task.embeds else _anything

    def one(record: Record) -> Content | UnusableRecord:
        try:
            return usable(content(record))
        except UnusableRecord as error:
            return error
        except KeyError as error:
            if error.args and error.args[0] in record:
                raise
            raise InvalidTask(
                f"Task `{task.name}`: its prompt reads a column {error}, and its records have: {', '.join(record)}."
            ) from error

    if (column := task.each) is None:
        return lambda record: ((0, one(record)),)

    def parts(record: Record) -> Iterable[Rendered]:
        elements = cast("Sequence[object] | None", record[column])
        if not elements:
            return ((0, UnusableRecord("no_parts", f"its column `{column}` holds nothing to ask about")),)
        return ((part, one({**record, column: element, "part": part})) for part, element in enumerate(elements))

    return parts


def content_renderer(
    prompt: str | Callable[[Record], Content], truncate_at: Mapping[str, int]
) -> Callable[[Record], Content]:
    """A function that fills a prompt in; a missing value reads as an empty text."""
    if isinstance(prompt, str):
        return _template(prompt, truncate_at)

    def call(record: Record) -> Content:
        return prompt({name: _cut(value, truncate_at.get(name)) for name, value in record.items()})

    return call


def _template(prompt: str, truncate_at: Mapping[str, int]) -> Callable[[Record], str]:
    pieces = [
        (literal, name, truncate_at.get(name) if name else None, f"{{{name}:{form}}}" if form else None)
        for literal, name, form, _ in string.Formatter().parse(prompt)
    ]

    def render(record: Record) -> str:
        texts: list[str] = []
        for literal, name, length, form in pieces:
            texts.append(literal)
            if name:
                value = _cut(record[name], length)
                texts.append("" if value is None else form.format(**{name: value}) if form else str(value))
        return "".join(texts)

    return render


def column_filler(prompt: str, truncate_at: Mapping[str, int]) -> Callable[[Columns], list[str]]:
    """The same as `content_renderer` of a template, for many records at a time."""
    pieces = [
        (literal, name, truncate_at.get(name) if name else None, f"{{{name}:{form}}}" if form else None)
        for literal, name, form, _ in string.Formatter().parse(prompt)
    ]

    def fill(columns: Columns) -> list[str]:
        parts: list[Iterable[str]] = []
        for literal, name, length, form in pieces:
            if literal:
                parts.append(repeat(literal))
            if name:
                parts.append(_texts(columns(name), name, length, form))
        return ["".join(texts) for texts in zip(*parts, strict=False)]  # what is constant goes on for ever

    return fill


def _texts(values: Sequence[object], name: str, length: int | None, form: str | None) -> list[str]:
    cut = values if length is None else [_cut(value, length) for value in values]
    if form is not None:
        return ["" if value is None else form.format(**{name: value}) for value in cut]
    return [value if isinstance(value, str) else "" if value is None else str(value) for value in cut]


def _cut(value: object, length: int | None) -> object:
    return value[:length] if length is not None and isinstance(value, str) else value


def _anything(content: Content) -> Content:
    return content


def _text_to_embed(content: Content) -> Content | UnusableRecord:
    """One input that the provider refuses would cost all that share its request."""
    if not isinstance(content, str):
        return UnusableRecord("no_text", "only text has an embedding, and its prompt gave parts")
    return content if content.strip() else UnusableRecord("empty_input", "its text is empty, and has no embedding")
