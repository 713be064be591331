from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum, IntEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Optional, Union, cast, get_args, get_origin
from uuid import UUID

import duckdb
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    RootModel,
    create_model,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from batch_pipeline.errors import InvalidTask
from batch_pipeline.tasks.schema import Schema, columns, strict_schema
from batch_pipeline.warehouse.answers import make_table, parsed
from batch_pipeline.warehouse.names import quoted


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Place(BaseModel):
    """Where."""

    file: str
    line: int = Field(ge=1)


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Node(BaseModel):
    value: int
    children: list[Node]
    twin: Optional[Node] = Field(description="One like it.")  # noqa: UP045 - a forward reference takes no `|`


class Everything(BaseModel):
    text: str = Field(description="What it is about.", pattern="^[a-z ]+$")
    count: int = Field(ge=0, le=10)
    share: float = Field(gt=0, lt=1)
    even: int = Field(multiple_of=2)
    sure: bool
    maybe: str | None
    label: Literal["bug", "feature"]
    perhaps: Literal["bug", None]
    digit: Literal[1, 2]
    always: Literal["yes"]
    colour: Colour = Field(description="Its colour.")
    level: Level
    day: date
    at: datetime
    clock: time
    length: timedelta
    uuid: UUID
    tags: list[str] = Field(min_length=1, max_length=3)
    place: Place = Field(description="Where it happens.")
    elsewhere: Place | None = Field(default=None, description="Where else.")
    places: list[Place]
    either: int | str
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    pets: list[Cat | Dog]
    table: str  # names that mean something to SQL
    order: str


EVERYTHING = Everything(
    text="it breaks",
    count=3,
    share=0.5,
    even=4,
    sure=True,
    maybe=None,
    label="bug",
    perhaps=None,
    digit=2,
    always="yes",
    colour=Colour.BLUE,
    level=Level.HIGH,
    day=date(2026, 11, 20),
    at=datetime(2026, 11, 20, 12, 30, tzinfo=UTC),
    clock=time(12, 30, tzinfo=UTC),
    length=timedelta(hours=1),
    uuid=UUID(int=7),
    tags=["a", "b"],
    place=Place(file="a.py", line=1),
    elsewhere=None,
    places=[Place(file="b.py", line=2), Place(file="c.py", line=3)],
    either="seven",
    pet=Dog(kind="dog", name="Rex"),
    pets=[Cat(kind="cat", lives=9), Dog(kind="dog", name="Rex")],
    table="t",
    order="o",
)


def parts(schema: object) -> list[Schema]:
    """The schema and every schema in it, at any depth."""
    if isinstance(schema, list):
        return [part for item in cast("list[object]", schema) for part in parts(item)]
    if not isinstance(schema, dict):
        return []
    found = [cast(Schema, schema)]
    for name, inner in found[0].items():
        members = cast(Schema, inner).values() if name in ("properties", "$defs") else [inner]
        found += [part for member in members for part in parts(member)]
    return found


def must_be_strict(schema: Schema) -> None:
    """The rules of OpenAI's guide on structured outputs, and what its client does to a pydantic model."""
    assert schema["type"] == "object"
    for part in parts(schema):
        assert not part.keys() & {"oneOf", "allOf", "title", "default", "discriminator"}
        assert "$ref" not in part or len(part) == 1
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert part["required"] == list(cast(Schema, part["properties"]))


def stored(schema: Schema, answer: str) -> dict[str, object]:
    """The answer as the task's table has it."""
    kinds = columns(schema)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        make_table(connection, "answers", kinds)
        connection.execute("CREATE TABLE texts AS SELECT ?::VARCHAR AS said", [answer])
        connection.execute(f"INSERT INTO answers BY NAME SELECT {parsed(kinds, 'texts.said')} FROM texts")
        shown = ", ".join(f"to_json({quoted(name)})" for name in kinds)
        row = connection.execute(f"SELECT {shown} FROM answers").fetchone()
    assert row is not None
    return {name: None if value is None else json.loads(value) for name, value in zip(kinds, row, strict=True)}


def test_a_strict_schema_is_what_openai_takes() -> None:
    schema = strict_schema(Everything)
    must_be_strict(schema)
    assert jsonschema_rs.validator_for(schema, validate_formats=True).is_valid(EVERYTHING.model_dump(mode="json"))


def test_columns_have_the_types_that_their_fields_mean() -> None:
    assert columns(strict_schema(Everything)) == {
        "text": "VARCHAR",
        "count": "BIGINT",
        "share": "DOUBLE",
        "even": "BIGINT",
        "sure": "BOOLEAN",
        "maybe": "VARCHAR",
        "label": "VARCHAR",
        "perhaps": "VARCHAR",
        "digit": "BIGINT",
        "always": "VARCHAR",
        "colour": "VARCHAR",
        "level": "BIGINT",
        "day": "DATE",
        "at": "TIMESTAMPTZ",
        "clock": "VARCHAR",
        "length": "VARCHAR",
        "uuid": "VARCHAR",
        "tags": "VARCHAR[]",
        "place": 'STRUCT("file" VARCHAR, "line" BIGINT)',
        "elsewhere": 'STRUCT("file" VARCHAR, "line" BIGINT)',
        "places": 'STRUCT("file" VARCHAR, "line" BIGINT)[]',
        "either": "JSON",
        "pet": "JSON",
        "pets": "JSON[]",
        "table": "VARCHAR",
        "order": "VARCHAR",
    }


def test_an_answer_comes_back_from_its_columns_as_it_was() -> None:
    said = EVERYTHING.model_dump(mode="json")
    assert stored(strict_schema(Everything), EVERYTHING.model_dump_json()) == said | {"at": "2026-11-20 12:30:00+00"}


def test_a_model_within_itself_is_an_object_at_the_top_and_ends_in_json() -> None:
    schema = strict_schema(Node)
    must_be_strict(schema)
    child = node(2, [])
    said = node(1, [child]) | {"twin": child}
    assert jsonschema_rs.is_valid(schema, said)
    assert not jsonschema_rs.is_valid(schema, {**said, "twin": {"value": "two"}})
    assert set(columns(schema)) == {"value", "children", "twin"}
    assert stored(schema, json.dumps(said)) == said


def test_a_described_reference_is_put_in_its_place_with_its_own_description() -> None:
    place = cast("dict[str, Schema]", strict_schema(Everything)["properties"])["place"]
    assert place["description"] == "Where it happens."
    assert cast(Schema, place["properties"]).keys() == {"file", "line"}


def test_fields_keep_their_order_since_a_model_answers_in_it() -> None:
    schema = strict_schema(create_model("Answer", reasoning=(str, ...), label=(str, ...)))
    assert schema["required"] == ["reasoning", "label"]
    assert list(columns(schema)) == ["reasoning", "label"]


def test_an_alias_is_the_name_in_the_schema_and_in_the_table() -> None:
    aliased = create_model("Aliased", area=(str, Field(alias="product area")))
    schema = strict_schema(aliased)
    assert columns(schema) == {"product area": "VARCHAR"}
    assert stored(schema, '{"product area": "cli"}') == {"product area": "cli"}


@pytest.mark.parametrize(
    "name", ["title", "default", "examples", "discriminator", "deprecated", "type", "properties", "enum", "a.b", "$ref"]
)
def test_a_field_may_have_the_name_of_a_keyword(name: str) -> None:
    schema = strict_schema(create_model("Named", field=(int, Field(alias=name))))
    must_be_strict(schema)
    assert stored(schema, json.dumps({name: 7})) == {name: 7}


def upper(value: str) -> str:
    return value.upper()


class Validated(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def short_enough(cls, value: str) -> str:
        return value[:3]


class ValidatedWhole(BaseModel):
    name: str

    @model_validator(mode="after")
    def fits_together(self) -> ValidatedWhole:
        return self


class Open(TypedDict):
    name: Annotated[str, AfterValidator(upper)]


class Empty(BaseModel):
    pass


class Loose(BaseModel):
    anything: Any


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (dict[str, int], "`Answer.field` is an open dict: name its fields in a model"),
        (Empty, "`Answer.Empty` is an open dict"),
        (Any, "`Answer.field` may be anything: give it a type"),
        (object, "`Answer.field` may be anything"),
        (list, "`Answer.field[]` may be anything"),
        (list[Any], "`Answer.field[]` may be anything"),
        (list[Loose], "`Answer.Loose.anything` may be anything"),
        (Annotated[str, Field(min_length=1)], "`Answer.field` uses `minLength`"),
        (Annotated[str, Field(max_length=9)], "`Answer.field` uses `maxLength`"),
        (Annotated[list[Annotated[str, Field(min_length=1)]], Field()], "`Answer.field[]` uses `minLength`"),
        (set[str], "`Answer.field` uses `uniqueItems`"),
        (tuple[int, str], "`Answer.field` uses `prefixItems`"),
        (bytes, "`Answer.field` has the format `binary`"),
        (Validated, "`Answer` has validators of its own (`short_enough`)"),
        (list[Validated | None], "`Answer` has validators of its own (`short_enough`)"),
        (ValidatedWhole, "`Answer` has validators of its own (`fits_together`)"),
        (Annotated[str, AfterValidator(upper)], "`Answer` has validators of its own (`upper`)"),
        (list[Annotated[str, BeforeValidator(upper)]], "`Answer` has validators of its own (`upper`)"),
        (Open, "`Answer` has validators of its own (`upper`)"),
    ],
)
def test_what_a_strict_schema_cannot_say_is_refused_with_its_field(kind: type, said: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        strict_schema(create_model("Answer", field=(kind, ...)))
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", [list[int], int, Cat | Dog])
def test_a_root_that_is_no_object_is_refused(kind: type) -> None:
    with pytest.raises(InvalidTask, match=r"is no object with named fields: wrap it in a model of one field\."):
        strict_schema(RootModel[kind])


def test_a_model_without_fields_is_refused() -> None:
    with pytest.raises(InvalidTask, match="`Empty` is an open dict"):
        strict_schema(Empty)


def test_names_that_a_table_takes_for_one_are_refused_at_any_depth() -> None:
    inner = create_model("Inner", label=(str, ...), Label=(str, ...))
    for model in (inner, create_model("Outer", inner=(inner, ...))):
        with pytest.raises(InvalidTask, match="`label` and `Label`, which are one name for a table"):
            strict_schema(model)


@pytest.mark.parametrize("name", ['we"ird', "*"])
def test_a_name_that_no_path_says_is_refused(name: str) -> None:
    with pytest.raises(InvalidTask, match="a column's name has no quotation marks, and is not"):
        strict_schema(create_model("Odd", field=(str, Field(alias=name))))


NAMES = st.from_regex(r"f_[a-z0-9_]{0,8}", fullmatch=True)
SIMPLE: list[Any] = [
    *(str, int, float, bool, date, datetime, Colour, Level, Place, Node, Literal["a", "b"], Literal[1, 2]),
    *(Annotated[int, Field(ge=0, le=9)], Annotated[float, Field(gt=0)], Cat | Dog, int | str, Place | str),
]


def types() -> st.SearchStrategy[Any]:
    return st.recursive(
        st.sampled_from(SIMPLE),
        lambda inner: inner.map(lambda kind: list[kind]) | inner.map(lambda kind: kind | None) | models(inner),
        max_leaves=4,
    )


def models(kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(NAMES, st.tuples(kinds, st.sampled_from([None, "What it is."])), min_size=1, max_size=3)
    return fields.map(made)


def made(fields: dict[str, tuple[type, str | None]]) -> type[BaseModel]:
    told: dict[str, Any] = {name: (kind, Field(description=text)) for name, (kind, text) in fields.items()}
    return create_model("Made", **told)


DEFINITE = st.integers(-(2**31), 2**31)
VALUES: dict[Any, st.SearchStrategy[Any]] = {  # that JSON has: pydantic writes NaN as null
    int: DEFINITE,
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=5),
    date: st.dates(),
    datetime: st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - `timezones` gives it
}


@settings(max_examples=60, deadline=None)
@given(models(types()), st.data())
def test_any_model_of_the_supported_types_has_a_schema_that_its_instances_and_only_they_satisfy(
    model: type[BaseModel], data: st.DataObject
) -> None:
    schema = strict_schema(model)
    must_be_strict(schema)
    jsonschema_rs.meta.validate(schema)
    checks = jsonschema_rs.validator_for(schema, validate_formats=True)
    said = instance(model, data).model_dump(mode="json")
    assert checks.is_valid(said)
    assert not checks.is_valid(said | {"unknown": 1})
    for name in said:
        assert not checks.is_valid({key: value for key, value in said.items() if key != name})
    assert stored(schema, json.dumps(said)).keys() == said.keys()


def instance(model: type[BaseModel], data: st.DataObject) -> BaseModel:
    values = {name: data.draw(values_of(field.rebuild_annotation())) for name, field in model.model_fields.items()}
    return model.model_validate(values)


def node(value: int, children: list[object]) -> dict[str, object]:
    return {"value": value, "children": children, "twin": None}


def values_of(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401, PLR0911 - each kind of annotation has its own
    """Values for a type, as the model takes them."""
    if kind in VALUES:
        return VALUES[kind]
    origin, args = get_origin(kind), get_args(kind)
    if kind is NoneType:
        return st.none()
    if kind is Node:
        leaf = st.builds(node, DEFINITE, st.just([]))
        return leaf | st.builds(node, DEFINITE, st.lists(leaf, max_size=2))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return st.fixed_dictionaries(
            {name: values_of(field.rebuild_annotation()) for name, field in kind.model_fields.items()}
        )
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if kind is bool:
        return st.booleans()
    if origin is Literal:
        return st.sampled_from(args)
    if origin is list:
        return st.lists(values_of(args[0]), max_size=3)
    if origin in (Union, UnionType):
        return st.one_of([values_of(arg) for arg in args])
    return st.integers(1, 9) if args[0] is int else st.floats(0.1, 9.0)  # Annotated
