from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.media_files import photo


def test_the_samples_are_loaded_where_no_folder_is_named(offline: Command) -> None:
    told = offline("images", "load")
    assert told.code == 0
    assert told.out.startswith("12 images in 5 posts of ")
    assert told.out.endswith("12 new, 0 changed, 0 known already.\n")
    assert offline("images", "load", "--json").json["unchanged"] == 12
    assert offline("documents", "load").out.startswith("3 documents of ")
    assert offline("files", "load").out.startswith("5 files in 6 chunks of ")


def test_the_setting_names_the_folder(offline: Command, settings: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    photo(10, 10).save(tmp_path / "mine" / "a_1.png")
    settings(images_dir=tmp_path / "mine")
    assert offline("images", "load").out.startswith("1 image in 1 post of ")


def test_what_can_not_be_used_is_named_and_the_verb_did_its_work(offline: Command, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    photo(10, 10).save(folder / "a_1.png")
    (folder / "a_2.png").write_text("no image")
    (folder / "notes.txt").write_text("left out")
    told = offline("images", "load", folder)
    assert told.code == 0
    assert "2 images in 1 post" in told.out
    assert "; 1 other file left out." in told.out
    assert "a_2.png is no image that can be read here" in told.sentence


def test_a_folder_that_is_not_there_is_wrong_usage(offline: Command, tmp_path: Path) -> None:
    for group in ("images", "documents", "files"):
        told = offline(group, "load", tmp_path / "gone")
        assert told.code == 2
        assert "There is no folder" in told.sentence


def test_a_group_alone_says_what_it_can_do(offline: Command) -> None:
    assert "load" in offline("images").out + offline("images").err
