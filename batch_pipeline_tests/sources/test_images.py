from __future__ import annotations

from pathlib import Path

import pytest

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.sources.images import load_images
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline_tests.media_files import photo


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two posts as subfolders, one of them nested, and two by their files' names."""
    place = tmp_path / "pictures"
    names = (
        "spring/b.jpg",
        "spring/a.jpg",
        "sale/shoes/10.png",
        "sale/shoes/9.png",
        "hat_1.gif",
        "hat_2.gif",
        "one.jpg",
    )
    for seed, name in enumerate(names):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        photo(40, 20 + seed, seed).save(place / name)
    (place / "notes.txt").write_text("not an image, and no problem")
    (place / ".hidden.jpg").write_bytes(b"")
    return place


def posts(warehouse: Warehouse) -> dict[str, list[str]]:
    with warehouse.read() as connection:
        rows = connection.execute("SELECT post, position, path FROM images ORDER BY post, position").fetchall()
    found: dict[str, list[str]] = {}
    for post, position, path in rows:
        found.setdefault(post, []).append(Path(path).name)
        assert position == len(found[post]) - 1
    return found


def rows(warehouse: Warehouse, sql: str) -> list[tuple[object, ...]]:
    with warehouse.read() as connection:
        return connection.execute(sql).fetchall()


def test_images_are_put_into_posts_by_folder_or_by_name(warehouse: Warehouse, folder: Path) -> None:
    loaded = load_images(warehouse, folder)
    assert (loaded.records, loaded.added, loaded.left_out, loaded.problems) == (4, 7, 1, ())
    assert posts(warehouse) == {
        "hat": ["hat_1.gif", "hat_2.gif"],
        "one": ["one.jpg"],
        "sale/shoes": ["9.png", "10.png"],
        "spring": ["a.jpg", "b.jpg"],
    }
    sizes = rows(warehouse, "SELECT width, height, bytes > 0, length(sha256) FROM images WHERE post = 'one'")
    assert sizes == [(40, 26, True, 64)]


def test_loading_again_changes_nothing_but_what_changed(warehouse: Warehouse, folder: Path) -> None:
    load_images(warehouse, folder)
    before = rows(warehouse, "SELECT * EXCLUDE (loaded_at) FROM images ORDER BY path")
    again = load_images(warehouse, folder)
    assert (again.added, again.changed, again.unchanged, again.removed) == (0, 0, 7, 0)
    assert rows(warehouse, "SELECT * EXCLUDE (loaded_at) FROM images ORDER BY path") == before
    photo(10, 10).save(folder / "one.jpg")
    (folder / "hat_1.gif").unlink()
    photo(10, 10).save(folder / "hat_3.gif")
    third = load_images(warehouse, folder)
    assert (third.added, third.changed, third.unchanged, third.removed) == (1, 1, 5, 1)
    assert posts(warehouse)["hat"] == ["hat_2.gif", "hat_3.gif"]
    assert rows(warehouse, "SELECT width FROM images WHERE post = 'one'") == [(10,)]
    (folder / "one.jpg").unlink()
    assert load_images(warehouse, folder).removed == 1
    assert "one" not in posts(warehouse)


def test_what_is_no_image_is_kept_with_its_error_and_the_others_go_on(warehouse: Warehouse, folder: Path) -> None:
    (folder / "spring" / "c.jpg").write_text("shopping list")
    whole = (folder / "spring" / "a.jpg").read_bytes()
    (folder / "spring" / "d.jpg").write_bytes(whole[:-100])
    (folder / "spring" / "e.jpg").symlink_to(folder / "nowhere")
    (folder / "spring" / "f.heic").write_bytes(b"\0\0\0\x18ftypheic")
    for _ in range(2):  # what is known is said again
        loaded = load_images(warehouse, folder)
        assert [problem.rpartition("/")[2] for problem in loaded.problems] == [
            "c.jpg is no image that can be read here: JPEG, PNG, GIF, WEBP, BMP, TIFF.",
            "d.jpg is cut off: the end of the image is missing.",
            "f.heic is no image that can be read here: JPEG, PNG, GIF, WEBP, BMP, TIFF.",
        ]
    errors = rows(warehouse, "SELECT position, width FROM images WHERE error IS NOT NULL ORDER BY ALL")
    assert errors == [(2, None), (3, None), (4, None)]
    assert len(rows(warehouse, "FROM images")) == 10


def test_two_folders_are_beside_each_other_and_a_post_of_the_same_name_is_the_later_one(
    warehouse: Warehouse, folder: Path, tmp_path: Path
) -> None:
    load_images(warehouse, folder)
    other = tmp_path / "other"
    (other / "spring").mkdir(parents=True)
    photo(8, 8).save(other / "spring" / "new.png")
    load_images(warehouse, other)
    assert posts(warehouse)["spring"] == ["new.png"]
    assert set(posts(warehouse)) == {"hat", "one", "sale/shoes", "spring"}


def test_a_folder_with_a_similar_name_is_left_alone(warehouse: Warehouse, folder: Path, tmp_path: Path) -> None:
    beside = tmp_path / "pictures_of_old"
    beside.mkdir()
    photo(8, 8).save(beside / "old.png")
    load_images(warehouse, beside)
    load_images(warehouse, folder)
    assert "old" in posts(warehouse)


def test_a_name_that_is_no_text_is_said(warehouse: Warehouse, folder: Path) -> None:
    bad = folder / "spring" / "\udcff.jpg"
    bad.write_bytes((folder / "one.jpg").read_bytes())
    loaded = load_images(warehouse, folder)
    assert len(loaded.problems) == 1
    assert "is no text in UTF-8" in loaded.problems[0]
    assert loaded.added == 7


def test_a_folder_that_is_not_there_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(InvalidSelection, match="There is no folder"):
        load_images(warehouse, tmp_path / "gone")
