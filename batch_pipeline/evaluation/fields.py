"""Which fields of an answer can be scored, and an answer's value as a label.

A label is text: `bug`, `true`, `3`. A field that is a list has a set of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.tasks.schema import Schema
from batch_pipeline.tasks.task import BatchTask

LabelType = Literal["string", "integer", "boolean"]
Labels = tuple[str, ...]
"""One label; of a field that is a list, all of them, each once and sorted."""

NULL = "null"
"""The label of no value, where a field may have none."""

_WORDS = {"true": "true", "yes": "true", "1": "true", "false": "false", "no": "false", "0": "false"}


@dataclass(frozen=True)
class Field:
    """A field that can be scored: one label, or `several`; `choices` is None where any will do."""

    name: str
    type: LabelType
    several: bool = False
    choices: Labels | None = None
    nullable: bool = False

    @property
    def categorical(self) -> bool:
        """Not free text: its labels are few, or numbers, or yes and no."""
        return self.choices is not None or self.several or self.type != "string"

    def labels(self, value: object) -> Labels:
        """A gold value as labels; CSV has text where JSON has lists, numbers and booleans.

        Raises:
            ValueError: It is none of the field's; says what it is.
        """
        labels = self.answered(value)
        for label in labels:
            if self.choices is not None and label not in self.choices and not (self.nullable and label == NULL):
                raise ValueError(f"`{label}` is none of {', '.join(self.choices)}")
        return labels

    def answered(self, value: object) -> Labels:
        """An answer's value as labels, whatever the choices were when it was given."""
        if value is None or (self.nullable and value == NULL):
            return (NULL,)
        if not self.several:
            return (_text(self.type, value),)
        return tuple(sorted({_text(self.type, item) for item in _items(value)}))


def scorable(task: BatchTask) -> dict[str, Field]:
    """The fields of a task's answer that can be scored, by name: text, choices, whole numbers, booleans, lists."""
    if task.each is not None:  # one row has the answers to many
        return {}
    if task.schema is None:
        return {name: Field(name, "string") for name, kind in task.answer_columns.items() if kind == "VARCHAR"}
    definitions = cast("Mapping[str, Schema]", task.schema.get("$defs", {}))
    properties = cast("Mapping[str, Schema]", task.schema["properties"])
    found = {name: _field(name, part, definitions) for name, part in properties.items()}
    return {name: field for name, field in found.items() if field is not None}


def chosen(task: BatchTask, columns: Sequence[str], asked: Sequence[str]) -> list[Field]:
    """The fields to score: those asked for; else those that the gold file has, free text only where nothing else is.

    Raises:
        InvalidSelection: There is no such field, it can't be scored, or the file has no column for it.
    """
    fields = scorable(task)
    for name in asked:
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise InvalidSelection(
                f"Task `{task.name}` has no field `{name}` that can be scored; those that can: {known}."
            )
        if name not in columns:
            raise InvalidSelection(f"The gold answers have no column `{name}`; they have: {', '.join(columns)}.")
    if asked:
        return [fields[name] for name in dict.fromkeys(asked)]
    there = [field for name, field in fields.items() if name in columns]
    if not there:
        raise InvalidSelection(
            f"The gold answers have no column that is a field of `{task.name}` ({', '.join(fields) or 'none'}); "
            f"they have: {', '.join(columns)}."
        )
    return [field for field in there if field.categorical] or there


def _field(name: str, whole: Schema, definitions: Mapping[str, Schema]) -> Field | None:
    part, nullable = _resolved(whole, definitions)
    if part.get("type") == "array":
        item = _field(name, cast(Schema, part["items"]), definitions)
        return None if item is None or item.several else replace(item, several=True, nullable=nullable)
    values = cast("list[object] | None", part.get("enum", [part["const"]] if "const" in part else None))
    if values is not None:
        known = [value for value in values if value is not None]
        return _closed(name, known, nullable=nullable or len(known) < len(values))
    kind = part.get("type")
    return Field(name, kind, nullable=nullable) if kind in ("string", "integer", "boolean") else None


def _closed(name: str, values: Sequence[object], *, nullable: bool) -> Field | None:
    kind = _type_of(values)
    if kind is None:
        return None
    return Field(name, kind, choices=tuple(_text(kind, value) for value in values), nullable=nullable)


def _resolved(part: Schema, definitions: Mapping[str, Schema]) -> tuple[Schema, bool]:
    """What a reference refers to; of a field that may be null, what it is otherwise, and that it may."""
    reference = part.get("$ref")
    if isinstance(reference, str):
        return _resolved(definitions[reference.rsplit("/", 1)[-1]], definitions)
    every = cast("list[Schema]", part.get("anyOf", []))
    choices = [one for one in every if one.get("type") != "null"]
    if len(choices) != 1:
        return part, False
    inner, nullable = _resolved(choices[0], definitions)
    return inner, nullable or len(choices) < len(every)


def _type_of(values: Sequence[object]) -> LabelType | None:
    if values and all(isinstance(value, bool) for value in values):
        return "boolean"
    if values and all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return "integer"
    return "string" if values and all(isinstance(value, str) for value in values) else None


def _text(kind: LabelType, value: object) -> str:
    text = json.dumps(value) if isinstance(value, bool) else str(value).strip()
    if kind == "boolean":
        if text.lower() not in _WORDS:
            raise ValueError(f"`{text}` is neither true nor false")
        return _WORDS[text.lower()]
    if kind == "integer":
        if not re.fullmatch(r"-?\d+(\.0+)?", text):
            raise ValueError(f"`{text}` is no whole number")
        return str(int(text.split(".")[0]))
    return text


def _items(value: object) -> Sequence[object]:
    """A list as JSON has it, or as people write one into a cell: `["a", "b"]`, `[a, b]`, `a; b` or `a, b`."""
    if isinstance(value, list):
        return cast("list[object]", value)
    text = str(value).strip()
    if text.startswith("["):
        try:
            return cast("list[object]", json.loads(text))
        except ValueError:
            text = text.strip("[]")
    return [part.strip() for part in text.split(";" if ";" in text else ",") if part.strip()]
