"""A PDF as it is sent, and the text of its pages, read with pypdf."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.tasks.content import Document, UnusableRecord
from batch_pipeline.tasks.media.files import read_bytes

if TYPE_CHECKING:
    from pypdf import PdfReader

UNREADABLE = "unreadable_document"
"""The `error_code` of a record whose document can't be used."""
TOO_MANY_PAGES = "too_many_pages"

MAX_PAGES = 100
"""Anthropic takes 100 pages in a request to a model of 200,000 tokens (guide "PDF support", 2026: 600 to others)."""
MAX_BYTES = 23 * 1024 * 1024
"""As base64 it is a third longer: just under 32 MB, which is the most that Anthropic takes in a request."""


@dataclass(frozen=True, slots=True)
class Pdf:
    """What stands in a PDF: the text of each page, in order, empty where a page is only a picture; and its title."""

    pages: tuple[str, ...]
    title: str | None

    @property
    def has_text(self) -> bool:
        """False of a scan, whose pages are pictures: no quote from it can be checked."""
        return any(page.strip() for page in self.pages)


def read_document(
    path: str | Path,
    *,
    pages: Sequence[str] | None = None,
    max_pages: int = MAX_PAGES,
    max_bytes: int = MAX_BYTES,
    sha256: str | None = None,
) -> Document:
    """Reads a PDF file, as it is to be sent.

    Args:
        path: The file.
        pages: The text of its pages, where it is known: the table `document_pages` has it. Else it is read from the
            file.
        max_pages: With more pages it is refused, since the provider would.
        max_bytes: A larger file is refused.
        sha256: Of the file when it was loaded; one that has changed since is refused.

    Raises:
        UnusableRecord: `unreadable_document`: it is missing, too large, no PDF, damaged, encrypted or empty;
            `too_many_pages`; `changed_file`.
    """
    file = Path(path)
    data = read_bytes(file, UNREADABLE, max_bytes, sha256)
    texts = pages or read_pdf(file, data).pages
    if len(texts) > max_pages:
        raise UnusableRecord(
            TOO_MANY_PAGES,
            f"{file} has {len(texts):,} pages, and more than {max_pages:,} are not sent; split it into several files.",
        )
    return Document(data, file.name, texts)


def read_pdf(file: Path, data: bytes) -> Pdf:
    """The text of a PDF's pages, and its title.

    Raises:
        UnusableRecord: `unreadable_document`: no PDF, damaged, encrypted, or without a page.
    """
    if not data:
        raise UnusableRecord(UNREADABLE, f"{file} is empty, and no PDF.")
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is wrong is said here, in one sentence
    try:
        pdf = _read(file, data)
    except UnusableRecord:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file makes its reader raise anything
        raise UnusableRecord(UNREADABLE, _why(file, data, error)) from None
    if not pdf.pages:
        raise UnusableRecord(UNREADABLE, f"{file} is a PDF without a page.")
    return pdf


def _read(file: Path, data: bytes) -> Pdf:
    from pypdf import PdfReader

    with PdfReader(BytesIO(data)) as reader:
        if reader.is_encrypted:
            raise UnusableRecord(
                UNREADABLE, f"{file} is encrypted, which no provider takes; save it without a password."
            )
        return Pdf(tuple(_clean(page.extract_text()) for page in reader.pages), _title(reader))


def _title(reader: PdfReader) -> str | None:
    try:
        title = reader.metadata.title if reader.metadata else None
    except Exception:  # noqa: BLE001 - a PDF whose title can't be read has none
        return None
    return (_clean(title).strip() or None) if title else None


def _clean(text: str) -> str:
    """Text that a table takes: fonts give codes that are no characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _why(file: Path, data: bytes, error: Exception) -> str:
    if b"%PDF-" not in data[:1024]:
        return f"{file} is no PDF."
    told = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return f"{file} is a damaged PDF: {told}."
