"""Rows of frames and lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
import pyarrow as pa
import pytest

from batch_pipeline import Batch
from batch_pipeline.errors import UsageError
from batch_pipeline.notebook.rows import Row, rows_of
from batch_pipeline.settings import Settings

ROWS = [{"id": 1, "text": "one"}, {"id": 2, "text": None}]


class FrameAsPolarsHas:
    """The one method of a polars frame that is used."""

    def iter_rows(self, *, named: bool) -> Iterable[Mapping[str, object]]:
        assert named
        return iter(ROWS)


@pytest.mark.parametrize("rows", [ROWS, pd.DataFrame(ROWS), pa.Table.from_pylist(ROWS), FrameAsPolarsHas(), iter(ROWS)])
def test_every_kind_of_rows_gives_the_same(rows: object) -> None:
    assert list(rows_of(rows)) == ROWS


def test_texts_are_rows_of_one_column() -> None:
    assert list(rows_of(["one", "two"])) == [{"text": "one"}, {"text": "two"}]


@pytest.mark.parametrize("rows", ["one", {"text": "one"}, 7, None])
def test_what_holds_no_rows_is_refused(rows: object) -> None:
    with pytest.raises(UsageError, match="takes a frame, or an iterable"):
        list(rows_of(rows))


def test_a_row_without_columns_is_refused() -> None:
    with pytest.raises(UsageError, match="A row is a int, and has no columns"):
        list(rows_of([7]))


def test_a_missing_column_is_named_with_those_that_are_there(settings: Settings) -> None:
    batch = Batch("notes", settings=settings)

    def body(row: Row) -> str:
        return str(row["body"])

    for prompt, record_id in (("{body}", None), (body, None), ("{text}", "body")):
        with pytest.raises(UsageError, match="A row has no column 'body'; it has: id, text"):
            batch.add_many(ROWS, prompt=prompt, record_id=record_id)


def test_a_function_may_give_all_that_an_item_takes(settings: Settings) -> None:
    batch = Batch("notes", settings=settings).add_many(
        ROWS,
        record_id=lambda row: f"note-{row['id']}",
        prompt=lambda row: {"prompt": str(row["text"]), "parameters": {"seed": row["id"]}},
        max_output_tokens=7,
    )
    plan = batch.submit(dry_run=True)
    assert (plan.items, plan.jobs) == (2, 2)
