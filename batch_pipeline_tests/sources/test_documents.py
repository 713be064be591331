from __future__ import annotations

from pathlib import Path

import pytest

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.sources.documents import load_documents
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline_tests.media_files import blank_pdf, encrypted, pdf, scan


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "papers"
    (place / "rent").mkdir(parents=True)
    pdf(place / "rent" / "lease.pdf", ["The rent is 900 euros.", "It ends in May."], "A lease")
    pdf(place / "letter.PDF", ["Dear all,"])
    (place / "notes.txt").write_text("no document")
    return place


def rows(warehouse: Warehouse, sql: str) -> list[tuple[object, ...]]:
    with warehouse.read() as connection:
        return connection.execute(sql).fetchall()


def test_documents_and_their_pages_are_loaded(warehouse: Warehouse, folder: Path) -> None:
    loaded = load_documents(warehouse, folder)
    assert (loaded.records, loaded.added, loaded.left_out, loaded.problems) == (2, 2, 1, ())
    assert rows(warehouse, "SELECT record_id, pages, title, has_text, error FROM documents ORDER BY ALL") == [
        ("letter.PDF", 1, None, True, None),
        ("rent/lease.pdf", 2, "A lease", True, None),
    ]
    pages = (
        "SELECT page, trim(text, E' \\n') FROM documents JOIN document_pages USING (sha256) WHERE pages = 2 ORDER BY 1"
    )
    assert rows(warehouse, pages) == [(1, "The rent is 900 euros."), (2, "It ends in May.")]


def test_loading_again_adds_nothing_and_forgets_what_is_gone(warehouse: Warehouse, folder: Path) -> None:
    load_documents(warehouse, folder)
    before = rows(warehouse, "SELECT * EXCLUDE (loaded_at) FROM documents ORDER BY path")
    again = load_documents(warehouse, folder)
    assert (again.unchanged, again.added, again.changed, again.removed) == (2, 0, 0, 0)
    assert rows(warehouse, "SELECT * EXCLUDE (loaded_at) FROM documents ORDER BY path") == before
    assert len(rows(warehouse, "FROM document_pages")) == 3
    (folder / "rent" / "lease.pdf").unlink()
    assert load_documents(warehouse, folder).removed == 1
    assert len(rows(warehouse, "FROM document_pages")) == 1


def test_the_same_document_twice_has_its_pages_once(warehouse: Warehouse, folder: Path) -> None:
    (folder / "copy.pdf").write_bytes((folder / "rent" / "lease.pdf").read_bytes())
    load_documents(warehouse, folder)
    assert len(rows(warehouse, "FROM documents")) == 3
    assert len(rows(warehouse, "FROM document_pages")) == 3


def test_each_bad_document_is_one_sentence_and_the_others_go_on(warehouse: Warehouse, folder: Path) -> None:
    whole = folder / "letter.PDF"
    encrypted(folder / "a_locked.pdf", whole)
    (folder / "b_empty.pdf").write_bytes(b"")
    (folder / "c_cut.pdf").write_bytes(whole.read_bytes()[:300])
    blank_pdf(folder / "d_long.pdf", 400)
    scan(folder / "e_scan.pdf", 3)
    (folder / "f_none.pdf").write_text("<html>")
    for _ in range(2):
        loaded = load_documents(warehouse, folder)
        told = [problem.rpartition("/")[2] for problem in loaded.problems]
        assert told[0] == "a_locked.pdf is encrypted, which no provider takes; save it without a password."
        assert told[1] == "b_empty.pdf is empty, and no PDF."
        assert told[2].startswith("c_cut.pdf is a damaged PDF: ")
        assert told[3] == "d_long.pdf has no text on its pages, as a scan has none: quotes from it can't be checked."
        assert told[4] == "e_scan.pdf has no text on its pages, as a scan has none: quotes from it can't be checked."
        assert told[5] == "f_none.pdf is no PDF."
        assert len(told) == 6
    good = rows(warehouse, "SELECT record_id, pages, has_text FROM documents WHERE error IS NULL ORDER BY ALL")
    assert good == [
        ("d_long.pdf", 400, False),
        ("e_scan.pdf", 3, False),
        ("letter.PDF", 1, True),
        ("rent/lease.pdf", 2, True),
    ]


def test_a_folder_that_is_not_there_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(InvalidSelection, match="There is no folder"):
        load_documents(warehouse, tmp_path / "gone")
