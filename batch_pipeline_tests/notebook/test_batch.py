"""What is put together, and what is refused before anything is written."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import BaseModel

import batch_pipeline
from batch_pipeline import Batch
from batch_pipeline.errors import InvalidTask, UsageError
from batch_pipeline.settings import Settings
from batch_pipeline.tasks import Text
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.notebook.conftest import MakeBatch


class Size(BaseModel):
    """How long a note is."""

    words: int


class MoreThanSize(Size):
    """How long a note is, and more."""

    letters: int


def test_the_package_is_imported_without_what_a_batch_needs() -> None:
    told = "import sys, batch_pipeline; print({'pydantic', 'sqlalchemy', 'duckdb', 'pandas', 'rich'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, check=True).stdout == b"set()\n"
    with pytest.raises(AttributeError, match="no attribute 'Bach'"):
        getattr(batch_pipeline, "Bach")  # noqa: B009


@pytest.mark.parametrize("name", ["Tickets", "my-tickets", "images", "1st", ""])
def test_a_name_that_is_no_tables_is_refused(name: str, settings: Settings) -> None:
    with pytest.raises(InvalidTask, match=f"`{name}`"):
        Batch(name, settings=settings)


def test_an_answer_that_can_not_be_is_refused_at_once(settings: Settings) -> None:
    with pytest.raises(InvalidTask, match="answer must be a pydantic model"):
        Batch("notes", answer=int, settings=settings)  # pyright: ignore[reportArgumentType] - that is what is tried
    with pytest.raises(InvalidTask, match="`messages` can't be among its parameters"):
        Batch("notes", parameters={"messages": []}, settings=settings)


def test_a_batch_without_items_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="`notes` has no items"):
        Batch("notes", settings=settings).submit()


def test_an_item_asks_one_thing(settings: Settings) -> None:
    batch = Batch("notes", settings=settings)
    with pytest.raises(UsageError, match="asks one thing"):
        batch.add()
    with pytest.raises(UsageError, match="asks one thing"):
        batch.add("one", parts=[Text("other")])
    with pytest.raises(UsageError, match="a whole conversation"):
        batch.add("one", messages=[{"role": "user", "content": "other"}])
    with pytest.raises(UsageError, match="has no message of the user's"):
        batch.add(messages=[{"role": "system", "content": "Say."}])
    with pytest.raises(UsageError, match="a role `tool`"):
        batch.add(messages=[{"role": "tool", "content": "42"}])
    assert len(batch) == 0


def test_the_same_item_is_one_and_two_of_one_id_are_refused(settings: Settings) -> None:
    batch = Batch("notes", settings=settings).add("one", record_id=1).add("one", record_id="1").add("one").add("one")
    assert repr(batch) == "Batch('notes', 2 items)"
    with pytest.raises(UsageError, match="`1` is added twice, with different things to ask"):
        batch.add("two", record_id=1)
    with pytest.raises(UsageError, match="`1` is added twice"):
        batch.add("one", record_id=1, parameters={"seed": 1})


def test_an_id_that_is_made_is_the_same_each_time(settings: Settings) -> None:
    made = [Batch("notes", settings=settings).add("one").submit(dry_run=True).items for _ in range(2)]
    assert made == [1, 1]


def test_a_tasks_name_is_refused(make_batch: MakeBatch, books: Books) -> None:
    with pytest.raises(UsageError, match="`issue_kind` is the name of a task"):
        make_batch(name="issue_kind").submit()
    assert books.batches == []


def test_a_name_keeps_its_answers_model_which_may_grow(make_batch: MakeBatch, books: Books) -> None:
    make_batch(1, answer=Size).submit(wait=True)
    with pytest.raises(UsageError, match=r"answers of another model: its table has the columns `words` \(BIGINT\)"):
        make_batch(1).submit()
    with pytest.raises(UsageError, match="Give this batch another name"):
        make_batch(1, answer=str).submit(dry_run=True)
    assert len(books.batches) == 1
    run = make_batch(1, answer=MoreThanSize).submit(wait=True)
    assert list(run.answers()) == ["record_id", "words", "letters"]
