"""The samples of images, documents and files: what is committed is whole, and is what the script makes."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import cast

import PIL.Image
import PIL.ImageChops
import pytest

from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.settings import project_root
from batch_pipeline.sources.documents import load_documents
from batch_pipeline.sources.images import load_images
from batch_pipeline.sources.text_files import load_files
from batch_pipeline.tasks.media.documents import read_pdf
from batch_pipeline.warehouse.connection import Warehouse

DATA = project_root() / "data"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


def test_all_of_them_load(warehouse: Warehouse) -> None:
    images = load_images(warehouse, DATA / "images")
    assert (images.added, images.records, images.problems) == (12, 5, ())
    documents = load_documents(warehouse, DATA / "documents")
    assert (documents.added, documents.problems) == (3, ())
    files = load_files(warehouse, DATA / "files", TokenCounter("gpt-6-luna").count_many)
    assert (files.added, files.problems) == (5, ())
    assert files.records > files.added
    with warehouse.read() as connection:
        kinds = connection.execute("SELECT DISTINCT language FROM file_chunks ORDER BY 1").fetchall()
        pages = connection.execute("SELECT count(*), bool_and(length(text) > 100) FROM document_pages").fetchone()
    assert [kind for (kind,) in kinds] == ["markdown", "python", "shell", "sql", "toml"]
    assert pages == (7, True)


def test_they_are_small() -> None:
    sizes = [
        path.stat().st_size for folder in ("images", "documents", "files") for path in (DATA / folder).rglob("*.*")
    ]
    assert sum(sizes) < 60_000


def test_they_are_what_the_script_makes(tmp_path: Path) -> None:
    main = cast("Callable[[Path], None]", runpy.run_path(str(DATA / "make_samples.py"))["main"])
    main(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert made == sorted(
        path.relative_to(DATA) for kind in ("images", "documents") for path in (DATA / kind).rglob("*.*")
    )
    for name in made:
        new, committed = tmp_path / name, DATA / name
        if name.suffix == ".pdf":
            assert read_pdf(new, new.read_bytes()) == read_pdf(committed, committed.read_bytes())
        else:
            images = [PIL.Image.open(path).convert("RGB") for path in (new, committed)]
            assert PIL.ImageChops.difference(*images).getbbox() is None, name
