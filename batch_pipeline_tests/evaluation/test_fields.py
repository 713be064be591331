from __future__ import annotations

from enum import Enum
from typing import Literal

import pytest
from pydantic import BaseModel

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.evaluation.fields import Field, chosen, scorable
from batch_pipeline.tasks import BatchTask, Record


class Size(Enum):
    """How large something is."""

    SMALL = "small"
    LARGE = "large"


class Part(BaseModel):
    """A part of something."""

    name: str


class Everything(BaseModel):
    """A field of every kind."""

    kind: Literal["bug", "feature"]
    size: Size
    maybe: Literal["yes", "no"] | None
    urgent: bool
    stars: int
    why: str
    share: float
    tags: list[Literal["ui", "cli"]]
    names: list[str]
    part: Part
    parts: list[Part]
    nested: list[list[str]]


def task(answer: type[BaseModel] | type[str], **more: object) -> BatchTask:
    asked = {"prompt": "{text}", "partitions": None} | more
    return BatchTask(name="odd", records="FROM notes", answer=answer, **asked)  # pyright: ignore[reportArgumentType] - fields of BatchTask


def _picture(record: Record) -> str:
    return str(record["pictures"])


TASK = task(Everything)


def test_the_fields_that_can_be_scored_are_labels_numbers_and_lists_of_them() -> None:
    assert list(scorable(TASK).values()) == [
        Field("kind", "string", choices=("bug", "feature")),
        Field("size", "string", choices=("small", "large")),
        Field("maybe", "string", choices=("yes", "no"), nullable=True),
        Field("urgent", "boolean"),
        Field("stars", "integer"),
        Field("why", "string"),
        Field("tags", "string", several=True, choices=("ui", "cli")),
        Field("names", "string", several=True),
    ]
    assert list(scorable(task(str))) == ["text"]
    assert scorable(task(Everything, each="pictures", prompt=_picture)) == {}


@pytest.mark.parametrize(
    ("field", "value", "labels"),
    [
        ("kind", " bug ", ("bug",)),
        ("maybe", "null", ("null",)),
        ("urgent", True, ("true",)),
        ("urgent", "No", ("false",)),
        ("stars", 3, ("3",)),
        ("stars", "3.0", ("3",)),
        ("tags", ["ui", "cli", "ui"], ("cli", "ui")),
        ("tags", '["ui", "cli"]', ("cli", "ui")),
        ("tags", "[ui, cli]", ("cli", "ui")),
        ("tags", "ui; cli", ("cli", "ui")),
        ("tags", "ui", ("ui",)),
        ("tags", [], ()),
        ("names", "[]", ()),
        ("names", "a, b; c", ("a, b", "c")),
    ],
)
def test_a_value_is_read_as_json_and_as_people_write_it_into_a_cell(
    field: str, value: object, labels: tuple[str, ...]
) -> None:
    assert scorable(TASK)[field].labels(value) == labels


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("kind", "Bug", "`Bug` is none of bug, feature"),
        ("kind", "null", "`null` is none of bug, feature"),
        ("urgent", "perhaps", "`perhaps` is neither true nor false"),
        ("stars", "three", "`three` is no whole number"),
        ("tags", "ui, web", "`web` is none of ui, cli"),
    ],
)
def test_a_value_that_is_none_of_the_fields_says_so(field: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        scorable(TASK)[field].labels(value)


def test_an_answer_of_an_older_prompt_may_be_what_is_no_choice_any_more() -> None:
    assert scorable(TASK)["kind"].answered("chore") == ("chore",)
    assert scorable(TASK)["maybe"].answered(None) == ("null",)


def test_without_being_asked_free_text_is_scored_only_where_nothing_else_is() -> None:
    names = ["record_id", "why", "kind", "urgent"]
    assert [field.name for field in chosen(TASK, names, [])] == ["kind", "urgent"]
    assert [field.name for field in chosen(TASK, ["record_id", "why"], [])] == ["why"]
    assert [field.name for field in chosen(TASK, names, ["why", "why"])] == ["why"]


@pytest.mark.parametrize(
    ("columns", "asked", "said"),
    [
        (["kind"], ["share"], "Task `odd` has no field `share` that can be scored; those that can: kind, size"),
        (["kind"], ["urgent"], "The gold answers have no column `urgent`; they have: kind"),
        (
            ["record_id", "Kind"],
            [],
            r"have no column that is a field of `odd` \(kind, .*\); they have: record_id, Kind",
        ),
    ],
)
def test_a_field_that_is_not_there_is_named_with_those_that_are(
    columns: list[str], asked: list[str], said: str
) -> None:
    with pytest.raises(InvalidSelection, match=said):
        chosen(TASK, columns, asked)
