from __future__ import annotations

from typing import cast

import openai
import orjson
import pytest

from batch_pipeline.local_server.engines.base import Request
from batch_pipeline.local_server.engines.parts import Picture, messages_in
from batch_pipeline_tests.local_server.account import STRICT, Account, Json
from batch_pipeline_tests.local_server.attachments import PICTURE, data_url, image, pdf

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"

CITATIONS: Json = {
    "type": "object",
    "properties": {
        "answer": {"type": "string"},
        "citations": {"type": "array", "items": {"$ref": "#/$defs/Citation"}},
    },
    "required": ["answer", "citations"],
    "$defs": {
        "Citation": {
            "type": "object",
            "properties": {"page": {"type": "integer"}, "quote": {"type": "string"}},
            "required": ["page", "quote"],
        }
    },
}


def _image(url: object) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


def _file(data: object) -> Json:
    return {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}


BAD_BASE64 = (
    "Invalid image URL: 'messages[0].content[0].image_url.url'. Expected a base64-encoded data URL with an image MIME "
    "type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got an invalid base64-encoded value."
)

WRONG: list[tuple[str, Json, str, str | None, str | None]] = [
    (CHAT, {}, "Missing required parameter: 'messages[0].content[0].type'.", "type", "missing_required_parameter"),
    (
        CHAT,
        {"type": "image"},
        "'image'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'.",
        "type",
        "invalid_value",
    ),
    (CHAT, {"type": "input_text", "text": "x"}, "Invalid value: 'input_text'.", "type", "invalid_value"),
    (
        CHAT,
        {"type": "text"},
        "Missing required parameter: 'messages[0].content[0].text'.",
        "text",
        "missing_required_parameter",
    ),
    (
        CHAT,
        _image("data:image/png;base64,%%%"),
        BAD_BASE64,
        "image_url.url",
        "invalid_value",
    ),
    (
        CHAT,
        _image("data:application/pdf;base64,eA=="),
        "but got unsupported MIME type 'application/pdf'.",
        "image_url.url",
        "invalid_value",
    ),
    (CHAT, _image("C:/a.png"), "but got a value without the 'data:' prefix.", "image_url.url", "invalid_value"),
    (CHAT, _image(None), "Missing required parameter", "image_url.url", "missing_required_parameter"),
    (
        CHAT,
        _image(data_url(b"<html>", "image/png")),
        "You uploaded an unsupported image.",
        None,
        "invalid_image_format",
    ),
    (
        CHAT,
        _file("data:text/plain;base64,eA=="),
        "Invalid file data: 'messages[0].content[0].file.file_data'. Expected a base64-encoded data URL with an app",
        "file.file_data",
        "invalid_value",
    ),
    (CHAT, _file(data_url(b"no PDF")), "The file you uploaded is badly formatted", None, "invalid_file"),
    (
        CHAT,
        {"type": "file", "file": {"filename": "a.pdf"}},
        "Missing required parameter",
        "file.file_id",
        "missing_required_parameter",
    ),
    (
        RESPONSES,
        {"type": "text", "text": "x"},
        "'input_image', 'output_text', 'refusal', 'input_file', 'computer_screenshot', and 'summary_text'.",
        "type",
        "invalid_value",
    ),
    (
        RESPONSES,
        {"type": "input_image", "image_url": "data:image/png;base64,%"},
        "Invalid 'input[0].content[0].image_url'. Expected a base64-encoded data URL",
        "image_url",
        "invalid_value",
    ),
    (
        RESPONSES,
        {"type": "input_file", "filename": "a.pdf"},
        "Missing required parameter",
        "file_id",
        "missing_required_parameter",
    ),
]


@pytest.mark.parametrize(("url", "part", "words", "param", "code"), WRONG)
def test_a_wrong_part_is_a_row_that_fails_in_the_providers_words(
    account: Account, url: str, part: Json, words: str, param: str | None, code: str
) -> None:
    field = "messages" if url == CHAT else "input"
    body: Json = {"model": "m", field: [{"role": "user", "content": [part]}]}
    answer = account.http.post(url, json=body)
    error = cast("dict[str, str]", answer.json()["error"])
    assert answer.status_code == 400
    assert words in error["message"]
    assert (error["code"], error["param"]) == (code, param and f"{field}[0].content[0].{param}")


def test_rows_with_images_and_documents_are_answered_by_their_schema(account: Account) -> None:
    parts = {
        "image": _image(PICTURE),
        "link": _image("https://example.com/a.png"),
        "file": _file(data_url(pdf("One."))),
    }
    lines: list[Json] = [
        {"custom_id": name, "method": "POST", "url": CHAT, "body": _body([part, {"type": "text", "text": "What?"}])}
        for name, part in (*parts.items(), ("broken", _image("data:image/png;base64,%")))
    ]
    outcome = account.outcome(account.run(lines))
    assert {name: (row.status, row.code) for name, row in outcome.items() if row.status != 200} == {
        "broken": (400, "invalid_value")
    }
    assert all("label" in orjson.loads(cast(str, outcome[name].text)) for name in parts)


@pytest.mark.parametrize(
    ("size", "detail", "tokens"), [((1024, 1024), "high", 1229), ((1024, 1024), "low", 308), ((64, 32), "auto", 3)]
)
def test_an_image_counts_by_its_size_and_not_by_its_bytes(
    account: Account, size: tuple[int, int], detail: str, tokens: int
) -> None:
    picture = {"url": data_url(image(*size), "image/png"), "detail": detail}
    texts = [{"type": "text", "text": "What?"}]
    asked = [
        account.http.post(CHAT, json=_body(content)).json()["usage"]["prompt_tokens"]
        for content in (texts, [*texts, {"type": "image_url", "image_url": picture}])
    ]
    assert asked[1] - asked[0] == pytest.approx(tokens, abs=40)


@pytest.mark.parametrize(("form", "status"), [("PNG", 200), ("JPEG", 200), ("GIF", 200), ("WEBP", 200), ("BMP", 400)])
def test_images_are_of_four_formats_whatever_they_are_called(account: Account, form: str, status: int) -> None:
    picture = _image(data_url(image(8, 8, form), "image/png"))
    assert account.http.post(CHAT, json=_body([picture])).status_code == status


def test_an_image_behind_a_url_is_one_of_the_usual_size() -> None:
    message = {"role": "user", "content": [_image("https://example.com/a.png")]}
    ((role, parts),) = messages_in(Request("a", CHAT, {"messages": [message]}))
    assert (role, parts) == ("user", [Picture(1024, 1024, "auto", 0)])


def test_citations_are_quotes_of_the_pages_and_now_and_then_one_is_wrong(account: Account) -> None:
    pages = [" ".join(f"word{page}x{at}" for at in range(40)) for page in range(3)]
    document = _file(data_url(pdf(*pages)))
    true = wrong = 0
    for number in range(40):
        body = _body([document, {"type": "text", "text": f"Question {number}?"}], CITATIONS)
        said = account.http.post(CHAT, json=body).json()["choices"][0]["message"]["content"]
        assert said == account.http.post(CHAT, json=body).json()["choices"][0]["message"]["content"]
        answer = orjson.loads(said)
        assert answer["citations"]
        for citation in answer["citations"]:
            assert len(citation["quote"].split()) >= 6
            if citation["quote"] in pages[citation["page"] - 1]:
                true += 1
            else:
                wrong += 1
    assert 0.05 < wrong / (true + wrong) < 0.4


def test_the_official_client_sends_a_document_to_responses(account: Account) -> None:
    said = account.client.responses.create(
        model="m",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_file", "filename": "a.pdf", "file_data": data_url(pdf("The only page there is."))},
                    {"type": "input_image", "image_url": PICTURE, "detail": "low"},
                    {"type": "input_text", "text": "What?"},
                ],
            }
        ],
        text={"format": {"type": "json_schema", "name": "quoted", "schema": CITATIONS}},
    )
    assert all(citation["page"] == 1 for citation in orjson.loads(said.output_text)["citations"])


def test_a_document_without_text_is_quoted_by_nobody(account: Account) -> None:
    body = _body([_file(data_url(pdf("")))], CITATIONS)
    said = account.http.post(CHAT, json=body).json()["choices"][0]["message"]["content"]
    assert all(citation["quote"].startswith("simulated") for citation in orjson.loads(said)["citations"])


def test_the_client_gets_the_providers_refusal(account: Account) -> None:
    with pytest.raises(openai.BadRequestError, match="unsupported image"):
        account.client.chat.completions.create(
            model="m",
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": data_url(b"GIF89a", "image/gif")}}],
                }
            ],
        )


def _body(content: object, schema: Json | None = None) -> Json:
    form = {"type": "json_schema", "json_schema": {"name": "quoted", "schema": schema}} if schema else STRICT
    return {"model": "m", "messages": [{"role": "user", "content": content}], "response_format": form}
