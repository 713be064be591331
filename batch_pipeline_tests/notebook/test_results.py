"""Answers as a typed frame, and as results."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Literal, cast

import pandas as pd
from pydantic import BaseModel

from batch_pipeline import Batch
from batch_pipeline.settings import Settings
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.notebook.conftest import MakeBatch, rows_in, types_in


class Who(BaseModel):
    """Somebody."""

    name: str
    age: int | None


class Ticket(BaseModel):
    """Every kind of field."""

    label: Literal["bug", "question"]
    level: Literal[1, 2, 3]
    votes: int
    share: float
    urgent: bool | None
    due: date
    seen: datetime
    tags: list[str]
    who: Who
    both: int | str


def test_every_field_has_a_column_of_its_type(make_batch: MakeBatch) -> None:
    run = make_batch(answer=Ticket).submit(wait=True)
    frame = run.answers()
    assert types_in(frame) == {
        "record_id": "str",
        "label": "str",
        "level": "Int64",
        "votes": "Int64",
        "share": "float64",
        "urgent": "boolean",
        "due": "datetime64[s]",
        "seen": "datetime64[us, UTC]",
        "tags": "object",
        "who": "object",
        "both": "object",
    }
    for result, row in zip(run.results(), rows_in(frame), strict=True):
        parsed = result.parsed
        assert isinstance(parsed, Ticket)
        assert (row["record_id"], row["label"], row["level"], row["votes"], row["share"], row["both"]) == (
            result.record_id, parsed.label, parsed.level, parsed.votes, parsed.share, parsed.both,
        )  # fmt: skip
        assert (None if row["urgent"] is pd.NA else row["urgent"]) == parsed.urgent
        assert row["due"].date() == parsed.due
        assert row["seen"].to_pydatetime() == parsed.seen.astimezone(UTC)
        assert (row["tags"], row["who"]) == (parsed.tags, parsed.who.model_dump())


def test_a_frame_without_answers_has_its_columns(make_batch: MakeBatch, books: Books) -> None:
    books.order({"kind": "refusal", "times": None})
    frame = make_batch().submit(wait=True).answers()
    assert list(frame) == ["record_id", "label"]
    assert frame.empty


def test_an_embedding_is_a_list_of_numbers(settings: Settings) -> None:
    run = Batch("vectors", answer=list[float], settings=settings).add("one").add("two").submit(wait=True)
    first, second = run.results()
    for result in (first, second):
        assert result.text is None
        numbers = cast("list[float]", result.parsed)
        assert len(numbers) > 1
        assert all(isinstance(number, float) for number in numbers)
    assert first.parsed != second.parsed
    assert list(run.answers()) == ["record_id", "embedding"]


def test_a_text_is_its_own_answer(settings: Settings) -> None:
    (result,) = Batch("texts", settings=settings).add("one", record_id=1).submit(wait=True).results()
    assert result.text == result.parsed
    assert result.text


def test_what_identical_items_share_is_divided_among_them(settings: Settings) -> None:
    batch = Batch("texts", settings=settings).add("one", record_id=1).add("one", record_id=2)
    run = batch.submit(wait=True)
    assert [result.attempts for result in run.results()] == [1, 1]
    total = run.cost().input_tokens
    assert sum(result.input_tokens for result in run.results()) in (total, total + 1)
