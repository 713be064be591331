from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.tasks.content import UnusableRecord
from batch_pipeline.tasks.media.documents import read_document, read_pdf
from batch_pipeline_tests.media_files import blank_pdf, encrypted, pdf, scan


def refused(path: Path, **how: object) -> UnusableRecord:
    with pytest.raises(UnusableRecord) as caught:
        read_document(path, **how)  # pyright: ignore[reportArgumentType] - those of the test
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_document_is_its_bytes_and_the_text_of_its_pages(tmp_path: Path) -> None:
    path = pdf(tmp_path / "lease.pdf", ["The rent is 900 euros.", "The lease ends in May."], "A lease")
    document = read_document(path)
    assert (document.data, document.name, document.media_type) == (path.read_bytes(), "lease.pdf", "application/pdf")
    assert [page.strip() for page in document.pages] == ["The rent is 900 euros.", "The lease ends in May."]
    assert read_pdf(path, document.data).title == "A lease"


def test_pages_that_are_known_are_not_read_again(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", ["one"])
    assert read_document(path, pages=["as it was loaded"]).pages == ["as it was loaded"]


def test_a_scan_has_pages_and_no_text(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.pdf", pages=2)
    read = read_pdf(path, path.read_bytes())
    assert (len(read.pages), read.has_text, read.title) == (2, False, None)
    assert len(read_document(path).pages) == 2


def test_a_pdf_that_is_encrypted_is_named(tmp_path: Path) -> None:
    whole = pdf(tmp_path / "whole.pdf", ["secret"])
    for password in ("secret", ""):
        told = refused(encrypted(tmp_path / "locked.pdf", whole, password))
        assert told.code == "unreadable_document"
        assert "is encrypted" in str(told)


def test_a_pdf_with_nothing_in_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"")
    assert "is empty" in str(refused(path))
    assert "without a page" in str(refused(blank_pdf(path, 0)))


def test_a_file_that_is_no_pdf_or_a_damaged_one_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.pdf"
    path.write_text("Dear all,")
    assert "is no PDF." in str(refused(path))
    whole = pdf(tmp_path / "whole.pdf", ["some text"]).read_bytes()
    path.write_bytes(whole[:200])
    with caplog.at_level(logging.WARNING):
        assert "is a damaged PDF" in str(refused(path))
    assert not caplog.records


def test_four_hundred_pages_are_too_many_unless_they_are_allowed(tmp_path: Path) -> None:
    path = blank_pdf(tmp_path / "long.pdf", 400)
    told = refused(path)
    assert told.code == "too_many_pages"
    assert "has 400 pages, and more than 100 are not sent" in str(told)
    assert refused(path, pages=[""] * 400).code == "too_many_pages"
    assert len(read_document(path, max_pages=600).pages) == 400


def test_a_file_that_is_too_large_or_gone_or_another_one_is_named(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", ["one"])
    assert "more than 10 are not taken" in str(refused(path, max_bytes=10))
    assert "No such file" in str(refused(tmp_path / "gone.pdf"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_document(path, sha256=digest)
    pdf(path, ["two"])
    assert refused(path, sha256=digest).code == "changed_file"


@given(st.integers(0, 2_000), st.binary(max_size=30))
def test_whatever_is_damaged_is_a_document_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, place: int, damage: bytes
) -> None:
    whole = tmp_path_factory.getbasetemp() / "whole.pdf"
    data = whole.read_bytes() if whole.exists() else pdf(whole, ["one", "two"]).read_bytes()
    damaged = data[:place] + damage + data[place + len(damage) :]
    try:
        told = f"some.pdf has {len(read_pdf(Path('some.pdf'), damaged).pages)} pages"
    except UnusableRecord as error:
        told = error.message
    assert told.startswith("some.pdf ")
