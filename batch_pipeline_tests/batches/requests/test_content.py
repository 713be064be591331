from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping

import orjson
import pytest

from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.requests.content import for_model, in_form_of, media_tokens, text_of, tokens_of
from batch_pipeline.tasks.content import Document, Image, Part, Text
from batch_pipeline.tasks.media.images import fitted

IMAGE = Image(b"\xff\xd8 pixels", "image/jpeg", 1024, 1024, "high")
LEASE = Document(b"%PDF-1.7 lease", "lease.pdf", ["The rent is 900 euros.", "It ends in May."])
QUESTION = Text("What is the rent?")
MIXED: list[Part | Mapping[str, object]] = [IMAGE, LEASE, QUESTION, {"type": "text", "text": "its own form"}]


def test_each_part_has_the_form_of_its_endpoint() -> None:
    chat, responses = (orjson.loads(orjson.dumps(in_form_of(f"/v1/{end}", MIXED))) for end in ("chat", "responses"))
    assert [part["type"] for part in chat] == ["image_url", "file", "text", "text"]
    assert [part["type"] for part in responses] == ["input_image", "input_file", "input_text", "text"]
    assert chat[0]["image_url"]["detail"] == responses[0]["detail"] == "high"
    for file in (chat[1]["file"], responses[1]):
        start, _, data = file["file_data"].partition(",")
        assert (file["filename"], start, b64decode(data)) == ("lease.pdf", "data:application/pdf;base64", LEASE.data)


def test_text_is_counted_and_images_by_their_size_and_pages_as_text_and_picture() -> None:
    counter = TokenCounter("gpt-5.4")
    text = "The rent is 900 euros.\nIt ends in May.\nWhat is the rent?\nits own form"
    assert text_of(MIXED).strip() == text
    page = 2574  # 39 by 55 patches, times 1.2
    assert media_tokens(MIXED, "gpt-5.4") == 1229 + 2 * page
    assert tokens_of(MIXED, "gpt-5.4", counter) == counter.count(text_of(MIXED)) + 1229 + 2 * page
    assert tokens_of("What is the rent?", "gpt-5.4", counter) == counter.count("What is the rent?")


@pytest.mark.parametrize(("model", "tokens"), [("gpt-4o", 765), ("claude-haiku-5-5", 37 * 37)])
def test_the_model_decides_what_an_image_costs(model: str, tokens: int) -> None:
    assert media_tokens([IMAGE], model) == tokens


def test_what_a_model_would_shrink_is_shrunk_before_it_is_sent() -> None:
    from io import BytesIO

    import PIL.Image

    buffer = BytesIO()
    PIL.Image.new("RGB", (1024, 1024), "red").save(buffer, "PNG")
    image = Image(buffer.getvalue(), "image/png", 1024, 1024, "high")
    assert for_model([image, QUESTION], "gpt-5.4") == [image, QUESTION]
    smaller = fitted(image, "gpt-4o")
    assert for_model([image], "gpt-4o") == [smaller]
    assert (smaller.width, smaller.height) == (768, 768)
    assert for_model("text", "gpt-4o") == "text"
