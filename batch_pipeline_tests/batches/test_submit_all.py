"""Jobs of several providers, sent in one go."""

from __future__ import annotations

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.submit_all import submit_all
from batch_pipeline.errors import MissingKey
from batch_pipeline_tests.batches.chain import batches_of, planned, write_notes
from batch_pipeline_tests.books import Books


def test_a_provider_that_can_not_be_asked_keeps_no_other_from_its_own(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 2)
    dear = planned(pipeline, provider="openai", model="gpt-6-luna")
    ours = planned(pipeline)
    sent = submit_all(pipeline, [dear, ours])
    assert sent.created == [batch.batch_id for batch in batches_of(pipeline, ours)]
    assert isinstance(sent.stopped["openai"], MissingKey)
    assert (sent.stopped.keys(), len(books.batches)) == ({"openai"}, 1)


@pytest.mark.parametrize(("together", "turns"), [(None, 1), (2, 2), (1, 3)])
def test_way_is_made_between_turns(pipeline: Pipeline, together: int | None, turns: int) -> None:
    made_way = list[None]()
    write_notes(pipeline, 3)
    found = [planned(pipeline, selection=Selection(ids=(f"note-{n}",))) for n in range(3)]
    sent = submit_all(pipeline, found, together=together, make_way=lambda: made_way.append(None))
    assert (len(made_way), len(sent.created)) == (turns, 3)
