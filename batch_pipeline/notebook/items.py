"""What an item asks, as it is kept: JSON, with files by their path and what they held when they were added."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Literal, cast

from batch_pipeline.batches.files import make_folder, write_once
from batch_pipeline.errors import UsageError
from batch_pipeline.notebook.options import Options
from batch_pipeline.tasks.content import Content, Detail, Document, Image, Message, Messages, Part, Said, Text
from batch_pipeline.tasks.media import documents, images
from batch_pipeline.tasks.media.files import read_bytes
from batch_pipeline.tasks.task import Record

Json = Mapping[str, object]
ImageFile = str | Path | Image
DocumentFile = str | Path | Document

_HASH_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to ask: its content as JSON, and what it wants otherwise than its batch."""

    record_id: str
    content: str
    options: Options

    @property
    def content_hash(self) -> str:
        """Changes with the content."""
        return hash_of(self.content)


def hash_of(text: str) -> str:
    """The beginning of a SHA-256, in hexadecimal digits."""
    return sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def content_of(record: Record) -> Content:
    """What is asked of a record of `python_items`: the prompt function of every task that Python makes."""
    kept = cast(Json, json.loads(str(record["content"])))
    if "messages" in kept:
        turns = cast("list[Json]", kept["messages"])
        return Messages(tuple(Message(_role(turn["role"]), _read_said(turn["content"])) for turn in turns))
    return _read_said(kept["content"])


def conversation(messages: Sequence[Json]) -> tuple[str | None, Messages]:
    """A list of `role` and `content`, as the providers take it: the instructions that it begins with, and its turns.

    Raises:
        UsageError: It has no turn, or one of another role.
    """
    system = None
    if messages and messages[0].get("role") in ("system", "developer"):
        system = str(messages[0].get("content"))
    turns = [_turn(message) for message in (messages if system is None else messages[1:])]
    if not turns:
        raise UsageError("`messages` has no message of the user's: add one, such as {'role': 'user', 'content': '…'}.")
    return system, Messages(tuple(turns))


class Keeper:
    """Writes content down.

    Args:
        folder: Where bytes of images and documents are kept that were given as such, and not as a file's path.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def content(
        self, content: Content, image_files: Sequence[ImageFile] = (), document_files: Sequence[DocumentFile] = ()
    ) -> str:
        """What is asked, as JSON, the same each time: documents first, then images, then what is said of them."""
        if isinstance(content, Messages):
            turns = [{"role": turn.role, "content": self._said(turn.content)} for turn in content.turns]
            return _dumped({"messages": turns})
        files = [*(self._document(each) for each in document_files), *(self._image(each) for each in image_files)]
        said = self._said(content)
        if files:
            said = [*files, *([{"text": said}] if isinstance(said, str) and said else said)]
        return _dumped({"content": said})

    def _said(self, said: Said) -> str | list[Json]:
        return said if isinstance(said, str) else [self._part(part) for part in said]

    def _part(self, part: Part | Json) -> Json:
        if isinstance(part, Text):
            return {"text": part.text}
        if isinstance(part, Image):
            return self._image(part)
        if isinstance(part, Document):
            return self._document(part)
        return {"text": part["text"]} if part.get("type") == "text" else {"raw": dict(part)}

    def _image(self, image: ImageFile) -> Json:
        if not isinstance(image, Image):
            return _file("image", image)
        about = {"media_type": image.media_type, "width": image.width, "height": image.height, "detail": image.detail}
        return {"encoded_image": self._kept(image.data), **about}

    def _document(self, document: DocumentFile) -> Json:
        if not isinstance(document, Document):
            return _file("document", document)
        return {"document": self._kept(document.data), "name": document.name, "sha256": None}

    def _kept(self, data: bytes) -> str:
        path = self._folder / sha256(data).hexdigest()
        if not path.exists():
            make_folder(self._folder)
            write_once(path, data)
        return str(path)


def _dumped(content: Json) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False)


def _file(kind: str, path: str | Path) -> Json:
    """One that can't be read is no error here: its record fails when it is planned, and the others go on."""
    file = Path(path).expanduser().absolute()
    try:
        with file.open("rb") as opened:
            digest = file_digest(opened, "sha256").hexdigest()
    except OSError:
        digest = None
    return {kind: str(file), "sha256": digest}


def _turn(message: Json) -> Message:
    role, said = _role(message.get("role")), cast(Said, message.get("content") or "")
    if role == "assistant" and not isinstance(said, str):
        said = "\n".join(str(part["text"]) for part in said if isinstance(part, Mapping) and "text" in part)
    return Message(role, said)


def _role(role: object) -> Literal["user", "assistant"]:
    if role == "user":
        return "user"
    if role == "assistant":
        return "assistant"
    raise UsageError(f"`messages` has a role `{role}`: after the instructions it takes `user` and `assistant`.")


def _read_said(said: object) -> Said:
    return said if isinstance(said, str) else [_read_part(part) for part in cast("list[Json]", said)]


def _read_part(part: Json) -> Part | Json:
    if "text" in part:
        return Text(str(part["text"]))
    digest = cast("str | None", part.get("sha256"))
    if "image" in part:
        return images.read_image(str(part["image"]), sha256=digest)
    if "encoded_image" in part:
        data = read_bytes(Path(str(part["encoded_image"])), images.UNREADABLE, images.MAX_BYTES)
        size = cast(int, part["width"]), cast(int, part["height"])
        return Image(data, str(part["media_type"]), *size, cast(Detail, part["detail"]))
    if "document" in part:
        read = documents.read_document(str(part["document"]), sha256=digest)
        return Document(read.data, str(part.get("name") or read.name), read.pages)
    return cast(Json, part["raw"])
