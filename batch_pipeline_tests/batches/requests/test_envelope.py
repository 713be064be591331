"""A task's requests, serialized around the record's content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from batch_pipeline.batches.requests.envelope import LIMIT_KEYS, Envelope, doubled_limit, request_body
from batch_pipeline.batches.requests.rendering import content_renderer
from batch_pipeline.tasks import BatchTask
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline_tests.batches.chain import Mood

Endpoint = Literal["chat", "responses"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def snapshot(endpoint: Endpoint = "chat", model: str = "m", system: str = "Say.", limit: int = 20) -> TaskSnapshot:
    task = BatchTask(
        name="mood", records="FROM notes", prompt="{text}", system=system, answer=Mood, endpoint=endpoint,
        max_output_tokens=limit, parameters={"temperature": 0, "a_first": 1},
    )  # fmt: skip
    return task.snapshot("local", model)


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
@given(text=TEXTS)
def test_a_line_is_the_body_that_a_plain_serializer_would_give(endpoint: Endpoint, text: str) -> None:
    asked = snapshot(endpoint)
    line = orjson.loads(Envelope(asked).line("id-1", orjson.dumps(text)))
    assert line == {"custom_id": "id-1", "method": "POST", "url": asked.endpoint, "body": request_body(asked, text)}


@given(one=TEXTS, other=TEXTS)
def test_fingerprints_are_the_same_only_for_the_same_content(one: str, other: str) -> None:
    envelope = Envelope(snapshot())
    same = envelope.fingerprint(orjson.dumps(one)) == envelope.fingerprint(orjson.dumps(other))
    assert same == (one == other)


def test_what_is_asked_is_in_the_fingerprint_and_the_output_limit_is_not() -> None:
    content = orjson.dumps("hello")

    def fingerprint(asked: TaskSnapshot) -> str:
        return Envelope(asked).fingerprint(content)

    base = fingerprint(snapshot())
    assert fingerprint(snapshot(limit=4_000)) == base
    others = [snapshot(endpoint="responses"), snapshot(model="n"), snapshot(system="Tell.")]
    others += [snapshot().model_copy(update={"provider": "openai"})]
    assert len({base, *map(fingerprint, others)}) == 5


def test_fields_are_asked_for_in_the_models_own_order() -> None:
    class Reasoned(BaseModel):
        """Reasons first."""

        reasoning: str
        label: Literal["glad", "sad"]
        confidence: float

    task = BatchTask(name="mood", records="FROM notes", prompt="{text}", answer=Reasoned)
    line = Envelope(task.snapshot("local", "m")).line("id", b'"hello"')
    assert line.index(b'"reasoning":{') < line.index(b'"label":{') < line.index(b'"confidence":{')


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_a_doubled_limit_changes_nothing_else(endpoint: Endpoint) -> None:
    asked = snapshot(endpoint)
    line = Envelope(asked).line("id", orjson.dumps("hello"))
    doubled = cast("dict[str, dict[str, object]]", orjson.loads(doubled_limit(line, asked.endpoint)))
    assert doubled["body"].pop(LIMIT_KEYS[asked.endpoint]) == 40
    plain = cast("dict[str, dict[str, object]]", orjson.loads(line))
    plain["body"].pop(LIMIT_KEYS[asked.endpoint])
    assert doubled == plain


def test_a_template_takes_the_records_columns_and_cuts_them_where_told() -> None:
    render = content_renderer("{title:>6}|{body}|{{kept}}", {"body": 3})
    assert render({"title": "ab", "body": "abcdef"}) == "    ab|abc|{kept}"
    assert render({"title": "ab", "body": None}) == "    ab||{kept}"


def test_a_value_that_looks_like_a_template_stays_as_it_is() -> None:
    assert content_renderer("{body}", {})({"body": "{title} {0} {{x}}"}) == "{title} {0} {{x}}"


def test_a_function_gives_text_or_parts_of_a_cut_record() -> None:
    def parts(record: Mapping[str, object]) -> list[dict[str, object]]:
        return [{"type": "text", "text": record["body"]}]

    assert content_renderer(parts, {"body": 2})({"body": "abc"}) == [{"type": "text", "text": "ab"}]
