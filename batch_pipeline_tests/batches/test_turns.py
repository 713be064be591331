"""A conversation of several turns, in place of the one message of a record's content."""

from __future__ import annotations

from typing import cast

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.requests.asking import Asking
from batch_pipeline.batches.requests.content import media_tokens, text_of
from batch_pipeline.settings import ProviderName
from batch_pipeline.tasks import BatchTask, Content, Text
from batch_pipeline.tasks.content import Image, Message, Messages
from batch_pipeline.tasks.task import Record, TaskEndpoint
from batch_pipeline_tests.batches.chain import Mood

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
FORMS: list[tuple[ProviderName, TaskEndpoint, str]] = [
    ("local", "chat", "messages"),
    ("local", "responses", "input"),
    ("anthropic", "chat", "messages"),
]


def ask(content: Content, provider: ProviderName = "local", endpoint: TaskEndpoint = "chat") -> tuple[str, object]:
    """The fingerprint of what is asked, and the messages of its line."""

    def prompt(_record: Record) -> Content:
        return content

    task = BatchTask(
        name="mood", records="FROM notes", prompt=prompt, system="Say.", answer=Mood, endpoint=endpoint
    )  # fmt: skip
    asking = Asking(task, task.snapshot(provider, "gpt-6-luna"), TokenCounter("gpt-6-luna"))
    rows = pa.RecordBatch.from_pylist([{"record_id": "1", "repo": None, "night": None, "_content_hash": "h"}])
    (chunk,) = asking.chunks(rows)
    (fingerprint,) = chunk.bodies
    (line,) = chunk.lines([fingerprint]).each()
    request = cast("dict[str, dict[str, object]]", orjson.loads(line))
    body = request.get("params") or request["body"]
    return fingerprint, body.get("messages") or body["input"]


@pytest.mark.parametrize(("provider", "endpoint", "_key"), FORMS)
def test_all_turns_stand_in_order_after_the_instructions(
    provider: ProviderName, endpoint: TaskEndpoint, _key: str
) -> None:
    turns = (Message("user", "Good?"), Message("assistant", "Yes."), Message("user", [Text("Sure?")]))
    _, messages = ask(Messages(turns), provider, endpoint)
    said = cast("list[dict[str, object]]", messages)
    if provider == "local" and endpoint == "chat":
        assert said.pop(0) == {"role": "system", "content": "Say."}
    kind = "input_text" if endpoint == "responses" else "text"
    assert said == [
        {"role": "user", "content": "Good?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": [{"type": kind, "text": "Sure?"}]},
    ]


@pytest.mark.parametrize(("provider", "endpoint", "_key"), FORMS)
def test_one_turn_is_the_same_request_as_its_content(provider: ProviderName, endpoint: TaskEndpoint, _key: str) -> None:
    for content in ("Good?", [Text("Good?"), Text("Really?")]):
        alone, as_turn = content, Messages((Message("user", content),))
        assert ask(alone, provider, endpoint) == ask(as_turn, provider, endpoint)


@given(one=st.lists(TEXTS, min_size=1, max_size=3), other=st.lists(TEXTS, min_size=1, max_size=3))
def test_fingerprints_are_the_same_only_for_the_same_turns(one: list[str], other: list[str]) -> None:
    def fingerprint(texts: list[str]) -> str:
        roles = ("user", "assistant", "user")
        return ask(Messages(tuple(Message(role, text) for role, text in zip(roles, texts, strict=False))))[0]

    assert (fingerprint(one) == fingerprint(other)) == (one == other)


def test_every_turn_is_counted() -> None:
    image = Image(b"", "image/png", 640, 480, "high")
    turns = Messages(
        (Message("user", [Text("What?"), image]), Message("assistant", "A dog."), Message("user", "Sure?"))
    )
    assert text_of(turns) == "user: What?\n\nassistant: A dog.\nuser: Sure?"
    assert media_tokens(turns, "gpt-6-luna") == media_tokens([image], "gpt-6-luna") > 0
