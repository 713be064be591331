from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.sources.text_files import language_of, load_files, pieces
from batch_pipeline.warehouse.connection import Warehouse


def words(texts: Sequence[str]) -> list[int]:
    """A token is three characters, the last one too."""
    return [-(-len(text) // 3) for text in texts]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "code"
    (place / "lib").mkdir(parents=True)
    (place / "lib" / "deploy.py").write_text("".join(f"step_{n} = {n}\n" for n in range(300)))
    (place / "README.md").write_text("# Hello\r\n\r\nIt deploys.\r\n")
    return place


def rows(warehouse: Warehouse, sql: str) -> list[tuple[object, ...]]:
    with warehouse.read() as connection:
        return connection.execute(sql).fetchall()


def test_files_are_loaded_in_chunks_of_whole_lines(warehouse: Warehouse, folder: Path) -> None:
    loaded = load_files(warehouse, folder, words)
    assert (loaded.added, loaded.problems) == (2, ())
    chunks = rows(
        warehouse, "SELECT record_id, start_line, end_line, language, tokens FROM file_chunks ORDER BY path, chunk"
    )
    assert loaded.records == len(chunks) > 3
    assert chunks[0] == ("README.md#0", 1, 3, "markdown", 9)
    code = chunks[1:]
    assert [row[0] for row in code] == [f"lib/deploy.py#{n}" for n in range(len(code))]
    assert code[0][1] == 1
    assert code[-1][2] == 300
    assert all(isinstance(row[4], int) and row[4] <= 400 for row in code)
    [[first]] = rows(warehouse, "SELECT text FROM file_chunks WHERE record_id = 'lib/deploy.py#0'")
    assert str(first).startswith("step_0 = 0\nstep_1 = 1\n")


def test_loading_again_adds_nothing_and_a_changed_file_has_its_chunks_anew(warehouse: Warehouse, folder: Path) -> None:
    load_files(warehouse, folder, words)
    before = rows(warehouse, "SELECT * EXCLUDE (loaded_at) FROM file_chunks ORDER BY ALL")
    again = load_files(warehouse, folder, words)
    assert (again.unchanged, again.added, again.changed, again.removed, again.records) == (2, 0, 0, 0, len(before))
    assert rows(warehouse, "SELECT * EXCLUDE (loaded_at) FROM file_chunks ORDER BY ALL") == before
    (folder / "lib" / "deploy.py").write_text("step = 1\n")
    (folder / "README.md").unlink()
    third = load_files(warehouse, folder, words)
    assert (third.changed, third.removed, third.records) == (1, 1, 1)
    assert rows(warehouse, "SELECT record_id, text FROM file_chunks") == [("lib/deploy.py#0", "step = 1\n")]


def test_a_subfolder_loaded_by_itself_takes_its_names_from_there(warehouse: Warehouse, folder: Path) -> None:
    load_files(warehouse, folder, words)
    load_files(warehouse, folder / "lib", words)
    names = rows(warehouse, "SELECT DISTINCT name FROM file_chunks ORDER BY name")
    assert names == [("README.md",), ("deploy.py",)]


def test_what_is_no_text_is_named_and_left_out(warehouse: Warehouse, folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"\x7fELF\0\0")
    (folder / "b.txt").write_bytes("fine\ncaf\xe9\n".encode("latin-1"))
    (folder / "c.txt").write_text("")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "d.txt").write_text("made by a program")
    loaded = load_files(warehouse, folder, words)
    assert [problem.rpartition("/")[2] for problem in loaded.problems] == [
        "a.bin is no text, but binary: left out.",
        "b.txt is no text in UTF-8 (line 2): left out.",
    ]
    assert (loaded.added, loaded.left_out) == (2, 3)


def test_a_byte_order_mark_is_no_text(warehouse: Warehouse, folder: Path) -> None:
    (folder / "README.md").write_bytes(b"\xef\xbb\xbfhello")
    load_files(warehouse, folder, words)
    assert rows(warehouse, "SELECT text FROM file_chunks WHERE name = 'README.md'") == [("hello",)]


@pytest.mark.parametrize(
    ("name", "language"),
    [("a/b.PY", "python"), ("Dockerfile", "dockerfile"), ("x.tsx", "typescript"), ("LICENSE", None)],
)
def test_the_language_is_told_by_the_name(name: str, language: str | None) -> None:
    assert language_of(name) == language


texts = st.text(alphabet=st.sampled_from("ab \n\r\u2028é🙂"), max_size=400)


@given(texts, st.integers(4, 60), st.integers(0, 20))
def test_chunks_keep_to_the_limit_and_hold_every_line(text: str, limit: int, overlap: int) -> None:
    made = pieces(text, words, limit, overlap)
    lines = text.split("\n")
    for piece in made:
        assert 0 < piece.tokens <= limit
        assert piece.text in text
        assert piece.text.strip("\n") in "\n".join(lines[piece.start_line - 1 : piece.end_line])
    held = "".join("".join(piece.text.split()) for piece in made)
    assert set("".join(text.split())) == set(held)
    covered = {number for piece in made for number in range(piece.start_line, piece.end_line + 1)}
    assert {number for number, line in enumerate(lines, 1) if line.strip()} <= covered


@given(texts, st.integers(4, 60))
def test_without_an_overlap_the_chunks_are_the_text(text: str, limit: int) -> None:
    joined = "".join(piece.text for piece in pieces(text, words, limit, 0))
    assert "".join(joined.split()) == "".join(text.split())


def test_the_end_of_a_chunk_stands_at_the_beginning_of_the_next() -> None:
    text = "".join(f"{n:05}\n" for n in range(20))  # two tokens a line
    made = pieces(text, words, 10, 4)
    assert [(piece.start_line, piece.end_line) for piece in made][:3] == [(1, 5), (4, 8), (7, 11)]
