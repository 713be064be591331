"""What is asked of a record beyond text: parts that every endpoint has its own form of.

A prompt function returns text, or a list of these; `batches/requests/content.py` puts them into the endpoint's form
and counts their tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Detail = Literal["low", "high", "original", "auto"]
"""How closely a model looks at an image; what each level means is the model's (OpenAI, guide "Images and vision")."""


@dataclass(frozen=True, slots=True)
class Text:
    """Some text."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it is sent: encoded, `width` by `height` pixels."""

    data: bytes
    media_type: str
    width: int
    height: int
    detail: Detail = "auto"


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF as it is sent; `pages` is the text of each of its pages, for counting tokens."""

    data: bytes
    name: str
    pages: Sequence[str]
    media_type: str = "application/pdf"


Part = Text | Image | Document

Said = str | Sequence[Part | Mapping[str, object]]
"""What stands in one message: text, or parts; a mapping is a part in the endpoint's own form."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; an assistant's is text."""

    role: Literal["user", "assistant"]
    content: Said


@dataclass(frozen=True, slots=True)
class Messages:
    """A conversation of several turns, in place of the one message that a record's content otherwise is."""

    turns: tuple[Message, ...]


Content = Said | Messages
"""What is asked of one record."""


class UnusableRecord(Exception):
    """Raised by a prompt function for a record that can't be asked about: it fails, and the others go on.

    Args:
        code: A word for the cause, such as `unreadable_image`; the record's `error_code`.
        message: A sentence that names what is wrong with what; the record's `error_message`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message
