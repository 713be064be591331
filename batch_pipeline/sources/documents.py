"""PDFs of a folder, and the text of their pages."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from batch_pipeline.sources.folders import Found, Loaded, Tally, chunked, files_below, of_kind
from batch_pipeline.tasks.content import UnusableRecord
from batch_pipeline.tasks.media.documents import UNREADABLE, read_pdf
from batch_pipeline.tasks.media.files import read_bytes
from batch_pipeline.warehouse import media
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.media import DocumentRow, PageRow

ENDINGS = frozenset({".pdf"})
CHUNK = 16
"""Documents whose rows and pages are written at once: their text is in memory until then."""
MAX_BYTES = 512 * 1024 * 1024
"""A larger file is not opened; what a provider takes is far less, and is checked when a request is made."""


def load_documents(warehouse: Warehouse, folder: Path) -> Loaded:
    """Writes a row of `documents` for each PDF below a folder, and one of `document_pages` for each of its pages.

    The record's id is the file's path within the folder; of two folders with one file of the same name, the later
    counts. One that can't be used has its `error` there; one that has no text, such as a scan, is said, and can be
    asked about all the same.

    Raises:
        InvalidSelection: There is no such folder.
    """
    place, at = folder.expanduser().absolute(), datetime.now(UTC)
    with warehouse.read() as connection:
        tally = Tally(folder, media.count_below(connection, media.DOCUMENTS, place)[0])
    for found in chunked(_pdfs(place, tally), CHUNK):
        with warehouse.read() as connection:
            known = media.known_documents(connection, [str(each.path) for each in found])
        read = [_read(known.get(str(each.path)), each, tally) for each in found]
        with warehouse.write() as connection:
            media.put(connection, media.DOCUMENTS, [row for row, _ in read], at)
            media.put_pages(connection, (page for _, pages in read for page in pages))
    with warehouse.write() as connection:
        media.forget(connection, media.DOCUMENTS, place, at)
    return tally.loaded()


def _pdfs(place: Path, tally: Tally) -> Generator[Found]:
    for found in files_below(place):
        pdfs = of_kind(found, ENDINGS)
        tally.left_out += len(found) - len(pdfs)
        yield from tally.nameless(pdfs)


def _read(known: DocumentRow | None, found: Found, tally: Tally) -> tuple[DocumentRow, list[PageRow]]:
    row, pages = DocumentRow(found.name, str(found.path), "", 0), list[PageRow]()
    try:
        data = read_bytes(found.path, UNREADABLE, MAX_BYTES)
        row = replace(row, sha256=sha256(data).hexdigest(), bytes=len(data))
        if known is not None and known.sha256 == row.sha256:
            row = replace(known, record_id=found.name)
        else:
            row, pages = _of_pdf(row, found.path, data)
    except UnusableRecord as unusable:
        row = replace(row, error=unusable.message)
    tally.records += 1
    tally.note(known and known.sha256, row.sha256, row.error or _without_text(row))
    return row, pages


def _of_pdf(row: DocumentRow, path: Path, data: bytes) -> tuple[DocumentRow, list[PageRow]]:
    pdf = read_pdf(path, data)
    pages = [PageRow(row.sha256, number, text) for number, text in enumerate(pdf.pages, 1)]
    return replace(row, pages=len(pages), title=pdf.title, has_text=pdf.has_text), pages


def _without_text(row: DocumentRow) -> str | None:
    if row.has_text is not False:
        return None
    return f"{row.path} has no text on its pages, as a scan has none: quotes from it can't be checked."
