"""What an item asks, kept and read again: text, parts, files, conversations."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline import Batch
from batch_pipeline.notebook.items import Keeper, content_of
from batch_pipeline.settings import Settings, project_root
from batch_pipeline.tasks import Content, Document, Image, Text
from batch_pipeline.tasks.content import Message, Messages
from batch_pipeline.tasks.media import read_document, read_image
from batch_pipeline_tests.books import Books

IMAGE = project_root() / "data" / "images" / "office_01.png"
DOCUMENT = project_root() / "data" / "documents" / "lease.pdf"

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SAID = TEXTS | st.lists(TEXTS.map(Text), min_size=1, max_size=3)
TURNS = st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), SAID), min_size=1, max_size=3)


@given(content=SAID | TURNS.map(lambda turns: Messages(tuple(turns))))
def test_what_was_kept_is_read_as_it_was(content: Content) -> None:
    assert content_of({"content": Keeper(Path("none")).content(content)}) == content


def test_files_are_kept_by_their_path_and_bytes_in_a_folder(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "kept")
    image, document = read_image(IMAGE, detail="low"), read_document(DOCUMENT)
    raw = {"type": "input_audio", "input_audio": {"data": ""}}
    kept = keeper.content([image, document, Text("What?"), raw, {"type": "text", "text": "Well?"}])
    assert keeper.content([image, document, Text("What?"), raw, Text("Well?")]) == kept
    assert content_of({"content": kept}) == [image, document, Text("What?"), raw, Text("Well?")]
    assert len(list((tmp_path / "kept").iterdir())) == 2
    by_path = content_of({"content": keeper.content("What?", [IMAGE], [DOCUMENT])})
    assert by_path == [read_document(DOCUMENT), read_image(IMAGE), Text("What?")]


def test_images_documents_and_conversations_are_asked_as_the_endpoint_takes_them(
    settings: Settings, books: Books
) -> None:
    run = (
        Batch("files", settings=settings, max_output_tokens=30)
        .add("What is it?", images=IMAGE, record_id="image")
        .add("What is it?", documents=[DOCUMENT], record_id="document", citations=True)
        .add(parts=[read_image(IMAGE, detail="low"), Text("What is it?")], record_id="parts")
        .add(
            messages=[
                {"role": "system", "content": "Say."},
                {"role": "user", "content": "Good?"},
                {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
                {"role": "user", "content": [{"type": "text", "text": "Sure?"}]},
            ],
            record_id="talk",
        )
        .submit()
        .wait(30, interval=0.02)
    )
    assert run.is_success, run.failures()
    bodies: dict[str, list[dict[str, object]]] = {}
    for folder in run.files:
        for line in (folder / "requests-0000.jsonl").read_bytes().splitlines():
            request = orjson.loads(line)
            bodies[request["custom_id"]] = request["body"]["messages"]
    kinds = {
        name: [part["type"] for part in cast("list[dict[str, str]]", messages[-1]["content"])]
        for name, messages in bodies.items()
    }
    assert kinds == {
        "image": ["image_url", "text"],
        "document": ["file", "text"],
        "parts": ["image_url", "text"],
        "talk": ["text"],
    }
    assert [message["role"] for message in bodies["talk"]] == ["system", "user", "assistant", "user"]
    assert bodies["talk"][2]["content"] == "Yes."
    results = {result.record_id: result for result in run.results()}
    assert results["document"].citations
    assert results["image"].text == results["image"].parsed
    assert list(run.answers()) == ["record_id", "text", "answer", "citations"]
    assert books.lines_executed == 4


def test_a_file_that_is_missing_fails_alone_and_one_that_changed_is_not_sent(
    settings: Settings, tmp_path: Path, books: Books
) -> None:
    changing = tmp_path / "note.png"
    changing.write_bytes(IMAGE.read_bytes())
    batch = (
        Batch("files", settings=settings)
        .add("What?", images=tmp_path / "none.png", record_id="missing")
        .add("What?", images=changing, record_id="changed")
        .add("What?", images=IMAGE, record_id="there")
    )
    changing.write_bytes(b"another one")
    run = batch.submit(wait=True)
    told = {failure.record_id: (failure.outcome, failure.error_code) for failure in run.failures()}
    assert told == {"missing": ("failed", "unreadable_image"), "changed": ("failed", "changed_file")}
    assert run.status().answered == 1
    changing.write_bytes(IMAGE.read_bytes())
    assert Batch("files", settings=settings).add("What?", images=changing, record_id="changed").submit(wait=True).jobs
    assert books.lines_executed == 1


@pytest.mark.parametrize("part", [Image(b"x", "image/png", 1, 2, "low"), Document(b"x", "a.pdf", ["one"])])
def test_the_same_bytes_are_kept_once(tmp_path: Path, part: Image | Document) -> None:
    keeper = Keeper(tmp_path)
    assert keeper.content([part]) == keeper.content([part])
    assert len(list(tmp_path.iterdir())) == 1
