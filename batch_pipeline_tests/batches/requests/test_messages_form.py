"""Requests as Anthropic takes them."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Literal, cast

import orjson
import pytest
from anthropic import transform_schema
from pydantic import BaseModel, Field

from batch_pipeline.batches.requests.content import in_form_of
from batch_pipeline.batches.requests.custom_id import LONGEST
from batch_pipeline.batches.requests.envelope import Envelope, doubled_limit
from batch_pipeline.batches.requests.messages_form import supported
from batch_pipeline.tasks import BatchTask
from batch_pipeline.tasks.content import Document, Image, Text
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline.tasks.schema import strict_schema
from batch_pipeline.tasks.task import Cited
from batch_pipeline.wire.messages import CLAIM_LENGTH, MESSAGES
from batch_pipeline_tests.batches.chain import mood

Json = dict[str, object]


class Inner(BaseModel):
    """A part."""

    when: str = Field(json_schema_extra={"format": "date-time"})
    parents: list[Inner]


class Everything(BaseModel):
    """All that a strict schema can say."""

    reason: str = Field(description="One sentence.", pattern="^[A-Z]")
    score: Annotated[int, Field(ge=1, le=10)]
    share: Annotated[float, Field(gt=0)] | None
    tags: Annotated[list[Literal["a", "b"]], Field(min_length=1)]
    many: Annotated[list[str], Field(min_length=2, max_length=3)]
    only: Literal["x"]
    numbered: Literal[1, 2, None]
    inner: Inner
    described: Inner = Field(description="The other one.")


MODELS = [Everything, Inner, Cited]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_schema_is_put_as_the_official_client_puts_it(model: type[BaseModel]) -> None:
    schema = strict_schema(model)
    assert orjson.dumps(supported(schema)) == orjson.dumps(transform_schema(schema))


def test_every_tasks_schema_is_put_as_the_official_client_puts_it() -> None:
    for task in load_tasks().by_name.values():
        if task.schema is not None:
            assert orjson.dumps(supported(task.schema)) == orjson.dumps(transform_schema(task.schema))


def test_a_line_is_a_request_as_the_create_takes_it() -> None:
    envelope = Envelope(mood.snapshot("anthropic", "claude-haiku-5-5"))
    line = orjson.loads(envelope.line("note-1", b'"It rains."'))
    assert line == {
        "custom_id": "note-1",
        "params": {
            "model": "claude-haiku-5-5",
            "max_tokens": 20,
            "system": "Is the note glad or sad?",
            "messages": [{"role": "user", "content": "It rains."}],
            "output_config": {"format": {"type": "json_schema", "schema": supported(mood.schema or {})}},
        },
    }


def test_a_line_that_was_cut_off_goes_again_with_twice_its_limit_and_the_same_fingerprint() -> None:
    snapshot = mood.snapshot("anthropic", "claude-haiku-5-5")
    line = Envelope(snapshot).line("note-1", b'"It rains."')
    assert orjson.loads(doubled_limit(line, MESSAGES))["params"]["max_tokens"] == 40
    larger = Envelope(snapshot.model_copy(update={"max_output_tokens": 40}))
    assert larger.fingerprint(b'"It rains."') == Envelope(snapshot).fingerprint(b'"It rains."')


def test_what_asks_for_citations_asks_for_no_schema() -> None:
    task = BatchTask(name="cited", records="FROM notes", prompt="{text}", answer=str, citations=True, partitions=None)
    line = orjson.loads(Envelope(task.snapshot("anthropic", "claude-haiku-5-5")).line("a", b'"?"'))
    assert "output_config" not in line["params"]


@pytest.mark.parametrize("cited", [False, True])
def test_parts_are_content_blocks(cited: bool) -> None:
    content = [Text("What is it?"), Image(b"png", "image/png", 1, 1), Document(b"%PDF", "a.pdf", ["words"])]
    source: Json = {"type": "base64", "data": b64encode(b"png").decode(), "media_type": "image/png"}
    pdf: Json = {"type": "base64", "data": b64encode(b"%PDF").decode(), "media_type": "application/pdf"}
    document: Json = {"type": "document", "source": pdf, "title": "a.pdf"}
    assert cast("list[Json]", in_form_of(MESSAGES, content, cited=cited)) == [
        {"type": "text", "text": "What is it?"},
        {"type": "image", "source": source},
        document | ({"citations": {"enabled": True}} if cited else {}),
    ]


def test_a_claim_has_room_before_the_longest_id() -> None:
    assert CLAIM_LENGTH + 1 + LONGEST == 64
